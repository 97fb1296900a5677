import type { FileHandle } from 'node:fs/promises';
import { writeAside, writeAt, type AsideFile } from './aside.ts';
import { collect } from './byte-reader.ts';
import { hashing, sha256, type Digest } from './digest.ts';
import { compressFrame, FRAME_SIZE, FRAMES_AHEAD } from './frame.ts';
import { encodePackIndex, PIECE_SIZE, type Layer } from './pack-index.ts';
import type { Store } from './store.ts';

export interface WrittenPack {
  id: Digest;
  /** Of the pack file. */
  bytes: number;
  indexBytes: number;
  objects: number;
  /** False where the store had this very pack already. */
  isNew: boolean;
}

/**
 * Writes one pack: objects are added one after the other, frames are compressed beside it, several at once. Until
 * `finish` has renamed the pack and, last of all, its index, the store knows nothing of it.
 */
export class PackWriter {
  readonly #store: Store;
  readonly #layer: Layer;
  readonly #aside: AsideFile;
  readonly #objects = new Map<Digest, number>();
  readonly #frames: { bytes: number; size: number }[] = [];
  /** Content that does not fill a frame yet. */
  #waiting: Buffer[] = [];
  #waitingSize = 0;
  #compressing: { size: number; frame: Promise<Buffer> }[] = [];
  #bytes = 0;

  private constructor(store: Store, layer: Layer, aside: AsideFile) {
    this.#store = store;
    this.#layer = layer;
    this.#aside = aside;
  }

  static async create(store: Store, layer: Layer): Promise<PackWriter> {
    return new PackWriter(store, layer, await store.createAside());
  }

  /** Adds an object of `size` bytes, unless it is in the pack already; its chunks are consumed either way. */
  async add(content: AsyncIterable<Buffer>, size: number): Promise<Digest> {
    return size <= FRAME_SIZE ? await this.#addSmall(content) : await this.#addLarge(content, size);
  }

  /** Makes the pack durable; undefined when nothing was added. */
  async finish(): Promise<WrittenPack | undefined> {
    this.#endFrame();
    await this.#drain(0);
    if (this.#objects.size === 0) {
      await this.discard();
      return undefined;
    }
    const index = encodePackIndex({
      layer: this.#layer,
      bytes: this.#bytes,
      pieces: await hashPieces(this.#aside.file, this.#bytes),
      frames: this.#frames,
      objects: Array.from(this.#objects, ([digest, size]) => ({ digest, size })),
    });
    const id = sha256(index);
    const isNew = !(await this.#store.hasPack(id));
    if (isNew) {
      await this.#aside.commit(this.#store.packPath(id));
      await writeAside(this.#store.asideFolder, this.#store.packIndexPath(id), [index]);
    } else {
      await this.discard();
    }
    return { id, bytes: this.#bytes, indexBytes: index.length, objects: this.#objects.size, isNew };
  }

  /** Gives the pack up. */
  async discard(): Promise<void> {
    await this.#aside.discard();
  }

  async #addSmall(content: AsyncIterable<Buffer>): Promise<Digest> {
    const bytes = await collect(content);
    const digest = sha256(bytes);
    if (!this.#objects.has(digest)) {
      this.#objects.set(digest, bytes.length);
      await this.#append(bytes);
    }
    return digest;
  }

  /** Too large to be held in memory until its digest is known: written first, and taken back if it was there. */
  async #addLarge(content: AsyncIterable<Buffer>, size: number): Promise<Digest> {
    this.#endFrame();
    await this.#drain(0);
    const before = { frames: this.#frames.length, bytes: this.#bytes };
    let digest = '';
    for await (const chunk of hashing(content, (sum) => (digest = sum))) await this.#append(chunk);
    if (this.#objects.has(digest)) {
      this.#endFrame();
      await this.#drain(0);
      this.#frames.length = before.frames;
      this.#bytes = before.bytes;
      await this.#aside.file.truncate(before.bytes);
    } else {
      this.#objects.set(digest, size);
    }
    return digest;
  }

  async #append(bytes: Buffer): Promise<void> {
    for (let rest = bytes; rest.length > 0;) {
      const part = rest.subarray(0, FRAME_SIZE - this.#waitingSize);
      rest = rest.subarray(part.length);
      this.#waiting.push(part);
      this.#waitingSize += part.length;
      if (this.#waitingSize === FRAME_SIZE) {
        this.#endFrame();
        await this.#drain(FRAMES_AHEAD);
      }
    }
  }

  #endFrame(): void {
    if (this.#waitingSize === 0) return;
    const frame = compressFrame(Buffer.concat(this.#waiting, this.#waitingSize));
    // It is awaited in its turn; a writer that is given up before that does not need to know.
    frame.catch(() => undefined);
    this.#compressing.push({ size: this.#waitingSize, frame });
    this.#waiting = [];
    this.#waitingSize = 0;
  }

  /** Writes frames, in order, until no more than `left` are being compressed. */
  async #drain(left: number): Promise<void> {
    for (const { size, frame } of this.#compressing.splice(0, this.#compressing.length - left)) {
      const bytes = await frame;
      await writeAt(this.#aside.file, bytes, this.#bytes);
      this.#frames.push({ bytes: bytes.length, size });
      this.#bytes += bytes.length;
    }
  }
}

async function hashPieces(file: FileHandle, bytes: number): Promise<Digest[]> {
  const pieces: Digest[] = [];
  const buffer = Buffer.alloc(PIECE_SIZE);
  for (let start = 0; start < bytes; start += PIECE_SIZE) {
    const { bytesRead } = await file.read(buffer, 0, PIECE_SIZE, start);
    pieces.push(sha256(buffer.subarray(0, bytesRead)));
  }
  return pieces;
}
