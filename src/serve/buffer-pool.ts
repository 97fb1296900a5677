/** Free buffers that are used again: a thousand downloads would otherwise make garbage faster than it is collected. */

/** Bytes of free buffers that are kept. */
const MOST_KEPT = 16 * 1024 * 1024;

export class BufferPool {
  readonly #free = new Map<number, Buffer[]>();
  #kept = 0;

  /** One of that many bytes, with whatever was in it. */
  take(bytes: number): Buffer {
    const buffer = this.#free.get(bytes)?.pop();
    if (buffer === undefined) return Buffer.allocUnsafeSlow(bytes);
    this.#kept -= bytes;
    return buffer;
  }

  /** Nobody may use it any more. */
  giveBack(buffer: Buffer): void {
    if (this.#kept + buffer.length > MOST_KEPT) return;
    this.#kept += buffer.length;
    const alike = this.#free.get(buffer.length);
    if (alike === undefined) this.#free.set(buffer.length, [buffer]);
    else alike.push(buffer);
  }
}
