import { createHash, type Hash } from 'node:crypto';
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

/**
 * Writes one pack: frames, compressed already, one after the other, and which objects they hold. Until `finish` has
 * renamed the pack and, last of all, its index, the store knows nothing of it.
 */
export class PackWriter {
  readonly #store: Store;
  readonly #layer: Layer;
  readonly #aside: AsideFile;
  readonly #objects: ObjectRef[] = [];
  readonly #frames: FrameRef[] = [];
  readonly #pieces: Digest[] = [];
  #piece: Hash = createHash('sha256');
  #bytes = 0;

  private constructor(store: Store, layer: Layer, aside: AsideFile) {
    this.#store = store;
    this.#layer = layer;
    this.#aside = aside;
  }

  static async create(store: Store, layer: Layer): Promise<PackWriter> {
    return new PackWriter(store, layer, await store.createAside());
  }

  /** Names the objects whose contents are in the frames that come next, in order; none of them twice in a pack. */
  addObjects(objects: readonly ObjectRef[]): void {
    this.#objects.push(...objects);
  }

  async addFrame(frame: Uint8Array, size: number, bases?: readonly ObjectRef[]): Promise<void> {
    this.#hash(frame);
    await writeAt(this.#aside.file, frame, this.#bytes);
    this.#frames.push({ bytes: frame.length, size, ...(bases !== undefined && { bases: [...bases] }) });
    this.#bytes += frame.length;
  }

  /** Makes the pack durable; undefined when nothing was added. */
  async finish(): Promise<WrittenPack | undefined> {
    if (this.#objects.length === 0) {
      await this.discard();
      return undefined;
    }
    if (this.#bytes % PIECE_SIZE !== 0) this.#pieces.push(this.#piece.digest('hex'));
    const index = encodePackIndex({
      layer: this.#layer,
      bytes: this.#bytes,
      pieces: this.#pieces,
      frames: this.#frames,
      objects: this.#objects,
    });
    const id = sha256(index);
    const stored = compressPackIndex(index);
    // The very same pack may be there already; then it is put there once more, in one step, and is whole all the time.
    await this.#aside.commit(this.#store.packPath(id));
    await writeAside(this.#store.asideFolder, this.#store.packIndexPath(id), [stored]);
    const { length: objects } = this.#objects;
    return { id, layer: this.#layer, bytes: this.#bytes, indexBytes: stored.length, objects };
  }

  /** Gives the pack up. */
  async discard(): Promise<void> {
    await this.#aside.discard();
  }

  #hash(bytes: Uint8Array): void {
    for (let rest = bytes; rest.length > 0;) {
      const room = PIECE_SIZE - ((this.#bytes + bytes.length - rest.length) % PIECE_SIZE);
      const part = rest.subarray(0, room);
      this.#piece.update(part);
      rest = rest.subarray(part.length);
      if (part.length === room) {
        this.#pieces.push(this.#piece.digest('hex'));
        this.#piece = createHash('sha256');
      }
    }
  }
}
