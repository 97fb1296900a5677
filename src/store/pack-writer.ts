import { writeAside, writeAt, type AsideFile } from './aside.ts';
import { sha256, type Digest } from './digest.ts';
import {
  compressPackIndex,
  encodePackIndex,
  PIECE_SIZE,
  type FrameRef,
  type Layer,
  type ObjectRef,
} from './pack-index.ts';
import type { Store } from './store.ts';

export interface WrittenPack {
  id: Digest;
  layer: Layer;
  /** Of the pack file. */
  bytes: number;
  /** Of its index, as it is stored. */
  indexBytes: number;
  objects: number;
}

/** A part of an open file, to be hashed. */
export interface HashRequest {
  fd: number;
  start: number;
  length: number;
}

export type HashPiece = (request: HashRequest) => Promise<Digest>;

/** Pieces that are hashed at the same time: enough that no thread waits, and all of them in the page cache still. */
const HASHING = 16;

/** Bytes that are written between two syncs. */
const SYNC_EVERY = 64 * 1024 * 1024;

/**
 * Writes one pack: frames, compressed already, one after the other, and which objects they hold. Until `finish` has
 * renamed the pack and, last of all, its index, the store knows nothing of it.
 */
export class PackWriter {
  readonly #store: Store;
  readonly #layer: Layer;
  readonly #aside: AsideFile;
  readonly #hashPiece: HashPiece;
  readonly #objects: ObjectRef[] = [];
  readonly #frames: FrameRef[] = [];
  readonly #pieces: Promise<Digest>[] = [];
  /** Of the frames that have a place. */
  #bytes = 0;
  /** How much of the file is on the disk, or on its way there. */
  #synced = 0;
  #syncing: Promise<void> | undefined;
  /** What the disk said to that: it says so once. */
  #failure: { reason: unknown } | undefined;

  private constructor(store: Store, layer: Layer, aside: AsideFile, hashPiece: HashPiece) {
    this.#store = store;
    this.#layer = layer;
    this.#aside = aside;
    this.#hashPiece = hashPiece;
  }

  /** @param hashPiece who hashes what is in the file; this thread, unless it is given */
  static async create(store: Store, layer: Layer, hashPiece?: HashPiece): Promise<PackWriter> {
    const aside = await store.createAside();
    return new PackWriter(store, layer, aside, hashPiece ?? hashIn(aside));
  }

  /** Of the file, for whoever writes to the places that `place` gives. */
  get fd(): number {
    return this.#aside.file.fd;
  }

  /** Names the objects whose contents are in the frames that come next, in order; none of them twice in a pack. */
  addObjects(objects: readonly ObjectRef[]): void {
    this.#objects.push(...objects);
  }

  async addFrame(frame: Uint8Array, size: number, bases?: readonly ObjectRef[]): Promise<void> {
    const start = this.place([{ bytes: frame.length, size }], bases);
    await writeAt(this.#aside.file, frame, start);
    await this.written(start + frame.length);
  }

  /**
   * Gives the frames that come next a place.
   * @param frames their lengths, and those of their contents
   * @returns where in the file the caller has to write them, one after the other
   */
  place(frames: readonly { bytes: number; size: number }[], bases?: readonly ObjectRef[]): number {
    const start = this.#bytes;
    for (const { bytes, size } of frames) {
      this.#frames.push({ bytes, size, ...(bases !== undefined && { bases: [...bases] }) });
      this.#bytes += bytes;
    }
    return start;
  }

  /** Says that the file has all that comes before a position. */
  async written(end: number): Promise<void> {
    while ((this.#pieces.length + 1) * PIECE_SIZE <= end) this.#hash(PIECE_SIZE);
    if (end - this.#synced >= SYNC_EVERY && this.#syncing === undefined) this.#sync(end);
    await this.#pieces[this.#pieces.length - HASHING];
  }

  /** Waits until all that is written has been hashed, but for a last piece that is not full. */
  async hashed(): Promise<void> {
    await Promise.all(this.#pieces);
  }

  /** Makes the pack durable, all of which is written; undefined when nothing was added. */
  async finish(): Promise<WrittenPack | undefined> {
    if (this.#objects.length === 0) {
      await this.discard();
      return undefined;
    }
    await this.written(this.#bytes);
    if (this.#bytes % PIECE_SIZE !== 0) this.#hash(this.#bytes % PIECE_SIZE, hashIn(this.#aside));
    const index = encodePackIndex({
      layer: this.#layer,
      bytes: this.#bytes,
      pieces: await Promise.all(this.#pieces),
      frames: this.#frames,
      objects: this.#objects,
    });
    const id = sha256(index);
    const stored = compressPackIndex(index);
    await this.#syncing;
    if (this.#failure !== undefined) throw this.#failure.reason;
    // The very same pack may be there already; then it is put there once more, in one step, and is whole all the time.
    await this.#aside.commit(this.#store.packPath(id));
    await writeAside(this.#store.asideFolder, this.#store.packIndexPath(id), [stored]);
    const { length: objects } = this.#objects;
    return { id, layer: this.#layer, bytes: this.#bytes, indexBytes: stored.length, objects };
  }

  /** Gives the pack up; nobody is writing to it any more. */
  async discard(): Promise<void> {
    await Promise.allSettled([...this.#pieces, this.#syncing]);
    await this.#aside.discard();
  }

  /** Has the disk begin with what is written, so that it need not take all of it at the end. */
  #sync(end: number): void {
    this.#synced = end;
    this.#syncing = this.#aside.file
      .datasync()
      .catch((reason: unknown) => (this.#failure = { reason }))
      .then(() => (this.#syncing = undefined));
  }

  #hash(length: number, hashPiece = this.#hashPiece): void {
    const piece = hashPiece({ fd: this.fd, start: this.#pieces.length * PIECE_SIZE, length });
    // It is awaited in its turn; a pack that is given up before that does not need to know.
    piece.catch(() => undefined);
    this.#pieces.push(piece);
  }
}

/** Hashes in this thread. */
function hashIn({ file }: AsideFile): HashPiece {
  return async ({ start, length }) => {
    const { buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, start);
    return sha256(buffer);
  };
}
