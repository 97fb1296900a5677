/** Whether a pack on a disk is what its index says: piece by piece, and object by object. */
import { createHash, type Hash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { describeError, errorCode } from '../errors.ts';
import { sha256, type Digest } from './digest.ts';
import { decompressFrame } from './frame.ts';
import type { ObjectReader } from './object-reader.ts';
import { PIECE_SIZE, pieceSize, type ObjectRef, type PackIndex } from './pack-index.ts';
import { startsOf, type PackReader } from './pack-reader.ts';

export interface CheckOptions {
  signal?: AbortSignal | undefined;
  /** Called with the number of bytes of the pack each time some were checked. */
  onBytes?: ((bytes: number) => void) | undefined;
}

export interface PackState {
  /** Length of the file, in bytes; undefined where there is none. */
  bytes: number | undefined;
  /** The numbers of the pieces that are not what the index says, ascending. */
  damaged: number[];
}

/** Reads a whole pack file. What the disk does not give counts as damaged. */
export async function checkPieces(
  path: string,
  index: PackIndex,
  { signal, onBytes }: CheckOptions = {},
): Promise<PackState> {
  const file = await open(path).catch((error: unknown) => {
    if (errorCode(error) !== 'ENOENT') throw error;
    return undefined;
  });
  if (file === undefined) return { bytes: undefined, damaged: [...index.pieces.keys()] };
  try {
    const damaged: number[] = [];
    const buffer = Buffer.allocUnsafe(PIECE_SIZE);
    for (const [number, digest] of index.pieces.entries()) {
      signal?.throwIfAborted();
      const length = pieceSize(index, number);
      const bytesRead = await file.read(buffer, 0, length, number * PIECE_SIZE).then(
        (read) => read.bytesRead,
        (error: unknown) => {
          // A sector that cannot be read is damage of this piece, and says nothing of the next.
          if (errorCode(error) !== 'EIO') throw error;
          return 0;
        },
      );
      if (bytesRead !== length || sha256(buffer.subarray(0, length)) !== digest) damaged.push(number);
      onBytes?.(length);
    }
    return { bytes: (await file.stat()).size, damaged };
  } finally {
    await file.close();
  }
}

/**
 * Decompresses a pack and hashes all objects in it, but for those that lie in damaged pieces.
 * @param bases where what its patches are based on is read; what is damaged there is not this pack's fault
 * @param damaged pieces that are not read, ascending
 * @returns what is wrong, a line each
 */
export async function checkObjects(
  pack: PackReader,
  bases: ObjectReader,
  damaged: readonly number[],
  { signal, onBytes }: CheckOptions = {},
): Promise<string[]> {
  const { frames } = pack.index;
  const starts = startsOf(frames.map(({ bytes }) => bytes));
  const isSound = (number: number): boolean => {
    const start = starts[number] ?? 0;
    const [first, end] = [start / PIECE_SIZE, (start + (frames[number]?.bytes ?? 0)) / PIECE_SIZE];
    return !damaged.some((piece) => piece + 1 > first && piece < end);
  };
  const wanted = damaged.length === 0 ? undefined : new Set([...frames.keys()].filter(isSound));
  const objects = new ObjectHasher(pack.index.objects);
  let next = 0;
  for await (const { number, bytes } of pack.frames(wanted)) {
    signal?.throwIfAborted();
    for (; next < number; next++) objects.skip(frames[next]?.size ?? 0);
    next = number + 1;
    const { size, bases: on } = frames[number] ?? { size: 0 };
    const dictionary = on === undefined ? undefined : await readBases(bases, on);
    if (dictionary === 'damaged') objects.skip(size);
    else await objects.addFrame(number, bytes, size, dictionary);
    onBytes?.(bytes.length);
  }
  return objects.wrong;
}

async function readBases(reader: ObjectReader, bases: readonly ObjectRef[]): Promise<Buffer | 'damaged'> {
  try {
    return await reader.readBases(bases);
  } catch (error) {
    // Found and named where it lies, or is missing.
    if (!OF_BASES.has(errorCode(error))) throw error;
    return 'damaged';
  }
}

const OF_BASES: ReadonlySet<string | undefined> = new Set([
  'PIECE_DAMAGED',
  'OBJECT_DAMAGED',
  'OBJECT_MISSING',
  'SOURCE_FAILED',
  'SOURCE_MISSING',
]);

/** Cuts the contents of frames, one after the other, into objects. */
class ObjectHasher {
  /** A line for each thing that is wrong. */
  readonly wrong: string[] = [];
  readonly #objects: readonly ObjectRef[];
  #number = 0;
  #done = 0;
  #hash: Hash | undefined = createHash('sha256');

  constructor(objects: readonly ObjectRef[]) {
    this.#objects = objects;
  }

  async addFrame(number: number, bytes: Buffer, size: number, dictionary: Buffer | undefined): Promise<void> {
    try {
      this.#add(await decompressFrame(bytes, size, dictionary), size);
    } catch (error) {
      this.wrong.push(`frame ${number} cannot be decompressed: ${describeError(error)}`);
      this.skip(size);
    }
  }

  /** Content that is not there: the objects that lie in it are not looked at. */
  skip(size: number): void {
    this.#add(undefined, size);
  }

  #add(content: Buffer | undefined, size: number): void {
    for (let at = 0; at < size;) {
      const object = this.#objects[this.#number];
      if (object === undefined) return;
      const length = Math.min(object.size - this.#done, size - at);
      if (content === undefined) this.#hash = undefined;
      else this.#hash?.update(content.subarray(at, at + length));
      at += length;
      this.#done += length;
      if (this.#done === object.size) this.#end(object.digest);
    }
  }

  #end(digest: Digest): void {
    if (this.#hash !== undefined && this.#hash.digest('hex') !== digest) {
      this.wrong.push(`object ${digest} is damaged`);
    }
    this.#hash = createHash('sha256');
    this.#done = 0;
    this.#number++;
  }
}
