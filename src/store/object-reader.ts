import { open } from 'node:fs/promises';
import { BladerootError, describeError } from '../errors.ts';
import { sha256, type Digest } from './digest.ts';
import { decompressFrame } from './frame.ts';
import type { Store } from './store.ts';

interface Frame {
  pack: Digest;
  /** Where it lies in the pack file. */
  offset: number;
  bytes: number;
  size: number;
  /** Where its content starts in that of the pack. */
  start: number;
}

interface Place {
  size: number;
  /** Where it starts in the pack's content. */
  start: number;
  /** Of its pack, in order. */
  frames: readonly Frame[];
}

/** Reads single objects out of packs in a store, by decompressing just the frames that hold them. */
export class ObjectReader {
  readonly #store: Store;
  readonly #places = new Map<Digest, Place>();
  /** Frames used last, the oldest first: small objects that are read together lie together. */
  readonly #recent = new Map<Frame, Buffer>();

  private constructor(store: Store) {
    this.#store = store;
  }

  static async open(store: Store, packs: readonly Digest[]): Promise<ObjectReader> {
    const reader = new ObjectReader(store);
    for (const pack of packs) await reader.#addPack(pack);
    return reader;
  }

  /** An object's content, verified. @throws BladerootError `OBJECT_MISSING`, `OBJECT_DAMAGED` */
  async read(digest: Digest): Promise<Buffer> {
    const place = this.#places.get(digest);
    if (place === undefined) {
      throw new BladerootError('OBJECT_MISSING', `no pack of the snapshot holds object ${digest}`);
    }
    const parts: Buffer[] = [];
    const end = place.start + place.size;
    for (const frame of place.frames) {
      if (frame.start + frame.size <= place.start || frame.start >= end) continue;
      const content = await this.#content(frame);
      parts.push(content.subarray(Math.max(0, place.start - frame.start), end - frame.start));
    }
    const object = Buffer.concat(parts, place.size);
    if (sha256(object) !== digest) throw damaged(digest, this.#store);
    return object;
  }

  async #addPack(pack: Digest): Promise<void> {
    const index = await this.#store.readPackIndex(pack);
    const frames: Frame[] = [];
    let offset = 0;
    let start = 0;
    for (const { bytes, size } of index.frames) {
      frames.push({ pack, offset, bytes, size, start });
      offset += bytes;
      start += size;
    }
    start = 0;
    for (const { digest, size } of index.objects) {
      this.#places.set(digest, { size, start, frames });
      start += size;
    }
  }

  async #content(frame: Frame): Promise<Buffer> {
    const content = this.#recent.get(frame) ?? (await this.#decompress(frame));
    this.#recent.delete(frame);
    this.#recent.set(frame, content);
    const [oldest] = this.#recent.keys();
    if (oldest !== undefined && this.#recent.size > FRAMES_KEPT) this.#recent.delete(oldest);
    return content;
  }

  async #decompress({ pack, offset, bytes, size }: Frame): Promise<Buffer> {
    const file = await open(this.#store.packPath(pack), 'r');
    try {
      const frame = Buffer.alloc(bytes);
      await file.read(frame, 0, bytes, offset);
      return await decompressFrame(frame, size);
    } catch (error) {
      throw damaged(`in pack ${pack}`, this.#store, describeError(error));
    } finally {
      await file.close();
    }
  }
}

/** Frames kept decompressed, of 1 MiB each at most. */
const FRAMES_KEPT = 8;

function damaged(what: string, store: Store, why = 'its SHA-256 is another'): BladerootError {
  return new BladerootError(
    'OBJECT_DAMAGED',
    `object ${what} in the store ${store.directory} is damaged: ${why}`,
  );
}
