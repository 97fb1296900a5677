import { BladerootError } from '../errors.ts';
import type { Digest } from '../store/digest.ts';
import type { ObjectRef } from '../store/pack-index.ts';
import { startsOf, type PackReader } from '../store/pack-reader.ts';
import { display } from './byte-path.ts';
import type { FileEntry } from './manifest.ts';

/** A place for an object: in a file's data, from `at` on. */
interface Place {
  file: FileEntry;
  at: number;
  /** Whether the file's data is this object and no other. */
  isOnly: boolean;
}

interface WantedObject {
  size: number;
  /** For an error. */
  path: string;
  places: Place[];
}

/** Bytes of a frame that go to a file. */
export interface PlannedPart {
  /** In the frame's content, and in the file's data. */
  from: number;
  length: number;
  at: number;
  file: FileEntry;
  /** Whether they are all the data of the file, which is then complete. */
  isWhole: boolean;
}

/** Which bytes of which frames go where. */
export class FramePlan {
  readonly #from: string;
  readonly #wanted = new Map<Digest, WantedObject>();
  readonly #files: FileEntry[] = [];
  readonly #whole = new Set<FileEntry>();
  /** Of all files' data. */
  bytes = 0;

  /** @param from where the packs are, for an error */
  constructor(from: string) {
    this.#from = from;
  }

  add(file: FileEntry): void {
    this.#files.push(file);
    let at = 0;
    for (const { digest, size } of file.objects) {
      const place = { file, at, isOnly: file.objects.length === 1 };
      const wanted = this.#wanted.get(digest);
      if (wanted === undefined) this.#wanted.set(digest, { size, path: file.path, places: [place] });
      else wanted.places.push(place);
      at += size;
    }
    this.bytes += at;
  }

  /** Files that are not complete when all frames are written, but for their attributes. */
  get inParts(): FileEntry[] {
    return this.#files.filter((file) => !this.#whole.has(file));
  }

  /**
   * By pack, the frames that are needed, and what of each goes where; to be called once, when all files are added.
   * @throws BladerootError `SNAPSHOT_INCOMPLETE` unless the packs hold every object, as long as it should be
   */
  lay(packs: readonly PackReader[]): Map<PackReader, Map<number, PlannedPart[]>> {
    const waiting = this.#wanted;
    const plan = new Map<PackReader, Map<number, PlannedPart[]>>();
    for (const pack of packs) {
      const frames = new Map<number, PlannedPart[]>();
      plan.set(pack, frames);
      const starts = startsOf(pack.index.frames.map(({ size }) => size));
      let number = 0;
      let start = 0;
      for (const object of pack.index.objects) {
        const end = start + object.size;
        while ((starts[number + 1] ?? Infinity) <= start) number++;
        const wanted = waiting.get(object.digest);
        if (wanted !== undefined && wanted.size === object.size) {
          waiting.delete(object.digest);
          for (let each = number; (starts[each] ?? Infinity) < end; each++) {
            this.#layPart(pack, frames, each, starts[each] ?? 0, start, object, wanted);
          }
        }
        start = end;
      }
    }
    for (const [digest, { path }] of waiting) {
      throw new BladerootError(
        'SNAPSHOT_INCOMPLETE',
        `the packs from ${this.#from} do not hold object ${digest} of ${display(path)}`,
      );
    }
    return plan;
  }

  /** What a frame has of an object. */
  #layPart(
    pack: PackReader,
    frames: Map<number, PlannedPart[]>,
    number: number,
    frameStart: number,
    objectStart: number,
    object: ObjectRef,
    { places }: WantedObject,
  ): void {
    const frameSize = pack.index.frames[number]?.size ?? 0;
    const from = Math.max(frameStart, objectStart);
    const length = Math.min(frameStart + frameSize, objectStart + object.size) - from;
    const parts = frames.get(number) ?? [];
    frames.set(number, parts);
    for (const { file, at, isOnly } of places) {
      const isWhole = isOnly && length === object.size;
      if (isWhole) this.#whole.add(file);
      parts.push({ from: from - frameStart, length, at: at + from - objectStart, file, isWhole });
    }
  }
}
