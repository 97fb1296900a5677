import { BladerootError, describeError } from '../errors.ts';
import { giveBack } from '../system/collect-garbage.ts';
import { sha256, type Digest } from './digest.ts';
import { decompressFrame, MAX_BASE_SIZE } from './frame.ts';
import type { FrameRef, ObjectRef } from './pack-index.ts';
import { startsOf, type PackReader } from './pack-reader.ts';

interface Place {
  pack: PackContent;
  object: ObjectRef;
  /** Where it starts in the pack's content. */
  start: number;
}

/** A pack, with where the contents of its frames start in that of the whole. */
interface PackContent {
  reader: PackReader;
  starts: readonly number[];
}

/**
 * Reads single objects out of packs, by fetching and decompressing just the frames that hold them. Patches are applied;
 * where an object is in several packs, the first of them is read: it was there before any patch that is based on it.
 */
export class ObjectReader {
  readonly #places = new Map<Digest, Place>();
  /** Contents that are not kept any more, until nobody can be reading them: whoever began before the number of a read. */
  readonly #retired: { content: Buffer; before: number }[] = [];
  /** The numbers of the reads that go on, in ascending order, and of the next. */
  readonly #reads = new Set<number>();
  #nextRead = 0;
  /** Contents of frames: small objects that are read together lie together. */
  readonly #frames = new RecentContents<FrameRef>(FRAME_BYTES_KEPT, (content) => this.#retire(content));
  /** Verified objects: what a part of a long file is based on, the next part is based on too. */
  readonly #objects = new RecentContents<Digest>(OBJECT_BYTES_KEPT, (content) => this.#retire(content));

  constructor(packs: readonly PackReader[]) {
    for (const reader of packs) {
      const pack = { reader, starts: startsOf(reader.index.frames.map((frame) => frame.size)) };
      let start = 0;
      for (const object of reader.index.objects) {
        if (!this.#places.has(object.digest)) this.#places.set(object.digest, { pack, object, start });
        start += object.size;
      }
    }
  }

  has(digest: Digest): boolean {
    return this.#places.has(digest);
  }

  sizeOf(digest: Digest): number | undefined {
    return this.find(digest)?.size;
  }

  /** What the index of a pack says of an object: the same thing for whoever asks, so that it is in memory once. */
  find(digest: Digest): ObjectRef | undefined {
    return this.#places.get(digest)?.object;
  }

  /** How many patches have to be applied, one upon the other, to read an object; 0 where it stands alone. */
  depthOf(digest: Digest): number {
    const frames = this.#framesOf(this.#placeOf(digest));
    return Math.max(0, ...frames.map(({ frame }) => this.depthOn(frame.bases ?? [])));
  }

  /** How deep a patch on these bases would be; 0 for one without. */
  depthOn(bases: readonly ObjectRef[]): number {
    return Math.max(0, ...bases.map(({ digest }) => this.depthOf(digest) + 1));
  }

  /** What the frame of an object is based on; none where it stands alone. */
  basesOf(digest: Digest): readonly ObjectRef[] {
    return this.#framesOf(this.#placeOf(digest)).flatMap(({ frame }) => frame.bases ?? []);
  }

  /**
   * An object's content, verified, in a buffer of its own.
   * @throws BladerootError `OBJECT_MISSING`, `OBJECT_DAMAGED`, `PIECE_DAMAGED`
   */
  async read(digest: Digest): Promise<Buffer> {
    return await this.#reading(async () => Buffer.from(await this.#read(digest)));
  }

  /** As `read`, of what is kept here: it is there as long as the caller counts as reading. */
  async #read(digest: Digest): Promise<Buffer> {
    const kept = this.#objects.get(digest);
    if (kept !== undefined) return kept;
    const place = this.#placeOf(digest);
    const object = Buffer.allocUnsafeSlow(place.object.size);
    for await (const { start, content } of this.#contents(place)) {
      content.copy(object, Math.max(0, start - place.start), Math.max(0, place.start - start));
    }
    if (sha256(object) !== digest)
      throw damaged(`object ${digest}`, place.pack.reader, 'its SHA-256 is another');
    this.#objects.add(digest, object);
    return object;
  }

  /**
   * The contents of a patch's bases, one after the other, in a buffer of their own.
   * @param atHand contents that are known already, verified
   */
  async readBases(bases: readonly ObjectRef[], atHand?: ReadonlyMap<Digest, Buffer>): Promise<Buffer> {
    return await this.#reading(async () => {
      const whole = Buffer.allocUnsafeSlow(bases.reduce((sum, { size }) => sum + size, 0));
      let end = 0;
      for (const { digest, size } of bases) {
        if (this.#placeOf(digest).object.size !== size) throw missing(digest);
        end += (atHand?.get(digest) ?? (await this.#read(digest))).copy(whole, end);
      }
      return whole;
    });
  }

  async #reading<T>(read: () => Promise<T>): Promise<T> {
    const number = this.#nextRead++;
    this.#reads.add(number);
    try {
      return await read();
    } finally {
      this.#reads.delete(number);
      this.#free();
    }
  }

  #retire(content: Buffer): void {
    this.#retired.push({ content, before: this.#nextRead });
  }

  #free(): void {
    const [oldest = this.#nextRead] = this.#reads;
    while ((this.#retired[0]?.before ?? Infinity) <= oldest) {
      const next = this.#retired.shift();
      if (next !== undefined) giveBack(next.content);
    }
  }

  #placeOf(digest: Digest): Place {
    const place = this.#places.get(digest);
    if (place === undefined) throw missing(digest);
    return place;
  }

  /** The frames that an object lies in, and where their contents start in that of the pack. */
  #framesOf({ pack, object: { size }, start }: Place): { number: number; frame: FrameRef; start: number }[] {
    const found: { number: number; frame: FrameRef; start: number }[] = [];
    for (let number = lastAtOrBefore(pack.starts, start); ; number++) {
      const frame = pack.reader.index.frames[number];
      const frameStart = pack.starts[number] ?? Infinity;
      if (frame === undefined || frameStart >= start + size) return found;
      found.push({ number, frame, start: frameStart });
    }
  }

  /** The contents of the frames that an object lies in. Those that have to be read are read in one go. */
  async *#contents(place: Place): AsyncGenerator<{ start: number; content: Buffer }> {
    const { reader } = place.pack;
    const missing = new Map<number, { frame: FrameRef; start: number }>();
    for (const { number, frame, start } of this.#framesOf(place)) {
      const content = this.#frames.get(frame);
      if (content === undefined) missing.set(number, { frame, start });
      else yield { start, content };
    }
    if (missing.size === 0) return;
    for await (const { number, bytes } of reader.frames(new Set(missing.keys()))) {
      const wanted = missing.get(number);
      if (wanted === undefined) continue;
      const { frame, start } = wanted;
      const content = await this.#decompress(reader, number, frame, bytes);
      this.#frames.add(frame, content);
      yield { start, content };
    }
  }

  async #decompress(reader: PackReader, number: number, frame: FrameRef, bytes: Buffer): Promise<Buffer> {
    const bases = frame.bases === undefined ? undefined : await this.readBases(frame.bases);
    try {
      return await decompressFrame(bytes, frame.size, bases);
    } catch (error) {
      throw damaged(`frame ${number}`, reader, describeError(error));
    } finally {
      giveBack(bytes);
      if (bases !== undefined) giveBack(bases);
    }
  }
}

const FRAME_BYTES_KEPT = 2 * 1024 * 1024;
/** What two parts of a file that are next to each other are both based on is less than that. */
const OBJECT_BYTES_KEPT = MAX_BASE_SIZE / 2;

/** Contents that were used last, so many bytes of them. */
class RecentContents<Key> {
  /** The one used longest ago comes first. */
  readonly #contents = new Map<Key, Buffer>();
  readonly #limit: number;
  readonly #onDropped: (content: Buffer) => void;
  #bytes = 0;

  constructor(limit: number, onDropped: (content: Buffer) => void) {
    this.#limit = limit;
    this.#onDropped = onDropped;
  }

  get(key: Key): Buffer | undefined {
    const content = this.#contents.get(key);
    if (content !== undefined) {
      this.#contents.delete(key);
      this.#contents.set(key, content);
    }
    return content;
  }

  add(key: Key, content: Buffer): void {
    // Two that read the same at once both bring it.
    const before = this.#contents.get(key);
    if (before !== undefined) this.#drop(key, before);
    this.#contents.set(key, content);
    this.#bytes += content.length;
    for (const [oldest, old] of this.#contents) {
      if (this.#bytes <= this.#limit) break;
      this.#drop(oldest, old);
    }
  }

  #drop(key: Key, content: Buffer): void {
    this.#contents.delete(key);
    this.#bytes -= content.length;
    this.#onDropped(content);
  }
}

/** The index of the last number, of an ascending list that starts with 0, that is not above `limit`. */
function lastAtOrBefore(ascending: readonly number[], limit: number): number {
  let [low, high] = [0, ascending.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((ascending[middle] ?? Infinity) <= limit) low = middle;
    else high = middle - 1;
  }
  return low;
}

function missing(digest: Digest): BladerootError {
  return new BladerootError('OBJECT_MISSING', `no pack of the snapshot holds object ${digest}`);
}

function damaged(what: string, pack: PackReader, why: string): BladerootError {
  return new BladerootError('OBJECT_DAMAGED', `${what} in pack ${pack.id} is damaged: ${why}`, {
    hint: '`bladeroot snapshot verify --repair-from` mends a store from another',
  });
}
