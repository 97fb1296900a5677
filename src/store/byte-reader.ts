/** Reads a stream of chunks as runs of bytes of given lengths: pieces, frames, objects, tar blocks. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #cutOff: (missing: number) => Error;
  #rest: Buffer = Buffer.alloc(0);

  /** @param cutOff makes the error for a stream that ends `missing` bytes too early */
  constructor(chunks: AsyncIterable<Buffer>, cutOff: (missing: number) => Error) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#cutOff = cutOff;
  }

  /** Whether nothing is left. */
  async atEnd(): Promise<boolean> {
    return !(await this.#fill());
  }

  /** Exactly `size` bytes in one buffer. */
  async read(size: number): Promise<Buffer> {
    await this.#fill();
    if (this.#rest.length >= size) return this.#take(size);
    const parts: Buffer[] = [];
    for await (const part of this.chunks(size)) parts.push(part);
    return Buffer.concat(parts, size);
  }

  /** The next `size` bytes as they come, without copying; the reader must not be used until they are all taken. */
  async *chunks(size: number): AsyncGenerator<Buffer, void, void> {
    for (let missing = size; missing > 0;) {
      if (!(await this.#fill())) throw this.#cutOff(missing);
      const part = this.#take(missing);
      missing -= part.length;
      yield part;
    }
  }

  async skip(size: number): Promise<void> {
    for await (const part of this.chunks(size)) void part;
  }

  /** All that is left, as it comes. */
  async *remaining(): AsyncGenerator<Buffer, void, void> {
    while (await this.#fill()) yield this.#take(this.#rest.length);
  }

  /** Stops the stream; what is left in it is lost. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #fill(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const next = await this.#chunks.next();
      if (next.done === true) return false;
      this.#rest = next.value;
    }
    return true;
  }

  #take(max: number): Buffer {
    const part = this.#rest.subarray(0, max);
    this.#rest = this.#rest.subarray(part.length);
    return part;
  }
}

/** All of a short stream. */
export async function collect(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  const [only] = parts;
  return only !== undefined && parts.length === 1 ? only : Buffer.concat(parts);
}
