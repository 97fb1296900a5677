/**
 * Contents into packs: threads read and hash, in batches of about a frame, into memory that all of them share, so that
 * any of them can compress any frame of it, while batches before are written in their order. What is in a pack already, of this
 * snapshot or of its base, is not packed again.
 */
import type { Digest } from '../store/digest.ts';
import { FRAME_SIZE, MAX_BASE_SIZE, MAX_OBJECT_SIZE } from '../store/frame.ts';
import type { ObjectReader } from '../store/object-reader.ts';
import type { Layer, ObjectRef } from '../store/pack-index.ts';
import { PackWriter, type HashPiece, type WrittenPack } from '../store/pack-writer.ts';
import type { Store } from '../store/store.ts';
import { WorkerPool, type TaskWorker } from '../system/workers.ts';
import { withinLimit } from './bases.ts';
import type { FilePart, PackResult, PackTask, ReadPart } from './pack-worker.ts';

/** A content that becomes an object: of a file that a thread reads, or at hand. */
export interface PartToPack {
  length: number;
  content: FilePart | Uint8Array;
  /** What it may be a patch on. */
  bases: readonly ObjectRef[];
  /** Called once its digest is known, in the order of the parts. */
  onDigest(object: ObjectRef, part: ReadPart): void;
}

export interface ObjectPackerOptions {
  store: Store;
  layer: Layer;
  pool: PackPool;
  /** What need not be packed. */
  known(digest: Digest): boolean;
  /** Reads bases; without it there are no patches. */
  bases?: ObjectReader | undefined;
  signal?: AbortSignal | undefined;
}

export type PackPool = WorkerPool<PackTask, PackResult>;

/**
 * Does work with packers on a pool of threads, which can `rest` once all packers are drained, and with one more thread, which
 * scans files before they are read: behind the others' work it would keep them waiting, and before it too. When it fails, the threads end before the packers are given up: they
 * write into their packs.
 */
export async function withPackers<T>(
  work: (
    threads: { scanner: PackPool; rest: () => Promise<void> },
    create: (options: Omit<ObjectPackerOptions, 'pool'>) => Promise<ObjectPacker>,
  ) => Promise<T>,
): Promise<T> {
  const pool: PackPool = new WorkerPool('image/pack-worker');
  const scanner: PackPool = new WorkerPool('image/pack-worker', 1);
  const packers: ObjectPacker[] = [];
  try {
    const rest = async (): Promise<void> => await pool.rest();
    return await work({ scanner, rest }, async (options) => {
      const packer = await ObjectPacker.create({ ...options, pool });
      packers.push(packer);
      return packer;
    });
  } catch (error) {
    await Promise.all([pool.close(), scanner.close()]);
    for (const packer of packers) await packer.discard();
    throw error;
  } finally {
    await Promise.all([pool.close(), scanner.close()]);
  }
}

interface Batch {
  parts: readonly PartToPack[];
  /** Bytes of their contents. */
  size: number;
  /** Where they lie, one after the other. */
  memory: SharedArrayBuffer;
}

/** A batch that is being compressed. */
interface Compressing {
  batch: Batch;
  objects: ObjectRef[];
  bases: ObjectRef[];
  /** Bytes of contents and bases. */
  size: number;
  tasks: { number: number; worker: TaskWorker<PackTask, PackResult>; result: Promise<PackResult> }[];
}

/** Batches in the works for each thread, at each of two stages: enough that none waits for another's, which come in order. */
const AHEAD = 2;

/** Bytes of contents and bases that are being compressed, for each thread; one part of a large file may be more. */
const MAX_COMPRESSING = (MAX_OBJECT_SIZE + MAX_BASE_SIZE) / 2;

/** How many times as long it takes to compress content as to read and hash it. */
const COMPRESSING = 6;

/** Parts in a batch: what is known of each takes more memory than a tiny file. */
const MAX_PARTS = 512;

/** Bytes of bases at which a batch is full, before its contents are. */
const ENOUGH_BASES = MAX_BASE_SIZE / 4;

export class ObjectPacker {
  readonly #options: ObjectPackerOptions;
  readonly #writer: PackWriter;
  readonly #packed = new Set<Digest>();
  #parts: PartToPack[] = [];
  #size = 0;
  #basesSize = 0;
  #number = 0;
  #memory = new SpareMemory();
  readonly #reading: { batch: Batch; size: number; result: Promise<PackResult> }[] = [];
  readonly #compressing: Compressing[] = [];
  readonly #writing: { end: number; result: Promise<PackResult> }[] = [];

  private constructor(options: ObjectPackerOptions, writer: PackWriter) {
    this.#options = options;
    this.#writer = writer;
  }

  static async create(options: ObjectPackerOptions): Promise<ObjectPacker> {
    const { store, layer, pool } = options;
    const hashPiece: HashPiece = async (request) => {
      const hashed = await pool.run({ kind: 'hash', ...request }, request.length);
      if (hashed.kind !== 'hashed') throw new Error(`a hash ended as ${hashed.kind}`);
      return hashed.digest;
    };
    return new ObjectPacker(options, await PackWriter.create(store, layer, hashPiece));
  }

  async add(part: PartToPack): Promise<void> {
    const basesSize = bytesOf(part.bases);
    const isFull =
      this.#parts.length === MAX_PARTS ||
      this.#size + part.length > FRAME_SIZE ||
      this.#basesSize + basesSize > ENOUGH_BASES;
    if (isFull) await this.#endBatch();
    this.#parts.push(part);
    this.#size += part.length;
    this.#basesSize += basesSize;
  }

  /** Waits until all that was added is in the pack, and no thread has anything to do for it any more. */
  async drain(): Promise<void> {
    await this.#endBatch();
    await this.#drainReading(0);
    await this.#drainCompressing(0);
    await this.#drainWriting(0);
    await this.#writer.hashed();
    this.#memory = new SpareMemory();
  }

  /** Makes the pack durable; none when there was nothing new. */
  async finish(): Promise<WrittenPack[]> {
    await this.drain();
    const pack = await this.#writer.finish();
    return pack === undefined ? [] : [pack];
  }

  /** Gives the pack up; the pool is closed by then, as threads write into the pack. */
  async discard(): Promise<void> {
    await this.#writer.discard();
  }

  async #endBatch(): Promise<void> {
    if (this.#parts.length === 0) return;
    this.#options.signal?.throwIfAborted();
    const { pool } = this.#options;
    const [parts, size] = [this.#parts, this.#size];
    this.#parts = [];
    this.#size = 0;
    this.#basesSize = 0;
    // First room is made for it: large batches take 8 MiB each.
    await this.#drainReading(AHEAD * pool.size - 1, size);
    const batch = { parts, size, memory: this.#memory.take(size) };
    const result = pool.run(readingTask(batch), size);
    // It is awaited in its turn; a packer that is given up before that does not need to know.
    result.catch(() => undefined);
    this.#reading.push({ batch, size, result });
  }

  /** Has what was read compressed, in order, until no more than `left` batches are being read, with room for more bytes. */
  async #drainReading(left: number, room = 0): Promise<void> {
    while (this.#isFuller(this.#reading, left, room, AHEAD * FRAME_SIZE)) {
      const next = this.#reading.shift();
      if (next === undefined) return;
      const read = await next.result;
      if (read.kind === 'read') await this.#compress(next.batch, read.parts);
    }
  }

  async #compress(batch: Batch, read: readonly ReadPart[]): Promise<void> {
    const content = new Uint8Array(batch.memory);
    const objects: ObjectRef[] = [];
    const wanted: ObjectRef[] = [];
    let [start, end] = [0, 0];
    for (const [i, part] of batch.parts.entries()) {
      const from = start;
      start += part.length;
      const done = read[i];
      if (done === undefined) continue;
      const { digest } = done;
      const object = { digest, size: part.length };
      part.onDigest(object, done);
      if (digest === '' || this.#packed.has(digest) || this.#options.known(digest)) continue;
      this.#packed.add(digest);
      objects.push(object);
      wanted.push(...part.bases);
      // What is packed moves together.
      if (end < from) content.copyWithin(end, from, start);
      end += part.length;
    }
    const reader = this.#options.bases;
    const usable = withinLimit(wanted);
    // First room is made for it: with their bases, large batches take 24 MiB each.
    await this.#drainCompressing(AHEAD * this.#options.pool.size, end + bytesOf(usable));
    const bases = reader === undefined || usable.length === 0 ? undefined : await reader.readBases(usable);
    const tasks =
      bases === undefined
        ? framesIn(content, end).map((frame) => this.#startCompressing(frame))
        : [this.#startCompressing(content.subarray(0, end), bases)];
    this.#compressing.push({ batch, objects, bases: usable, size: end + (bases?.length ?? 0), tasks });
  }

  #startCompressing(content: Uint8Array, bases?: Buffer): Compressing['tasks'][number] {
    const [number, worker] = [this.#number++, this.#options.pool.idlest()];
    const task: PackTask = { kind: 'compress', number, content, bases };
    const effort = (content.length + (bases?.length ?? 0)) * COMPRESSING;
    const result = worker.run(task, effort, bases === undefined ? [] : [arrayBufferOf(bases)]);
    result.catch(() => undefined);
    return { number, worker, result };
  }

  /** Has what was compressed written, in order, until no more than `left` batches are being compressed, with room for more bytes. */
  async #drainCompressing(left: number, room = 0): Promise<void> {
    while (this.#isFuller(this.#compressing, left, room, MAX_COMPRESSING)) {
      const next = this.#compressing.shift();
      if (next === undefined) return;
      this.#writer.addObjects(next.objects);
      for (const { number, worker, result } of next.tasks) {
        const compressed = await result;
        if (compressed.kind === 'compressed') this.#write(number, worker, compressed, next.bases);
      }
      this.#memory.giveBack(next.batch.memory);
    }
    await this.#drainWriting(AHEAD * this.#options.pool.size);
  }

  #write(
    number: number,
    worker: TaskWorker<PackTask, PackResult>,
    { frames, isPatch }: PackResult & { kind: 'compressed' },
    bases: ObjectRef[],
  ): void {
    const start = this.#writer.place(frames, isPatch ? bases : undefined);
    const end = frames.reduce((sum, { bytes }) => sum + bytes, start);
    const result = worker.run({ kind: 'write', number, fd: this.#writer.fd, start }, (end - start) / 8);
    result.catch(() => undefined);
    this.#writing.push({ end, result });
  }

  /** Whether more is in the works than `left` batches, or, with `room` bytes more, than `most` for each thread. With `left` 0, whether anything is. */
  #isFuller(batches: readonly { size: number }[], left: number, room: number, most: number): boolean {
    if (batches.length === 0 || left === 0) return batches.length > 0;
    const bytes = batches.reduce((sum, { size }) => sum + size, room);
    return batches.length > left || bytes > most * this.#options.pool.size;
  }

  /** Has the pack hashed as far as it is written, until no more than `left` batches are being written. */
  async #drainWriting(left: number): Promise<void> {
    while (this.#writing.length > left) {
      const next = this.#writing.shift();
      await next?.result;
      if (next !== undefined) await this.#writer.written(next.end);
    }
  }
}

/** What has a batch's contents where they belong, and their digests known. */
function readingTask({ parts, memory }: Batch): PackTask {
  const fromFiles: FilePart[] = [];
  const lengths: number[] = [];
  let end = 0;
  for (const { content, length } of parts) {
    if (content instanceof Uint8Array) {
      new Uint8Array(memory).set(content, end);
      lengths.push(length);
    } else {
      fromFiles.push(content);
    }
    end += length;
  }
  if (lengths.length > 0 && fromFiles.length > 0) throw new Error('a batch is of files, or at hand');
  return lengths.length > 0
    ? { kind: 'digest', lengths, from: memory }
    : { kind: 'read', parts: fromFiles, into: memory };
}

function bytesOf(objects: readonly ObjectRef[]): number {
  return objects.reduce((sum, { size }) => sum + size, 0);
}

/** What becomes frames that stand alone. */
function framesIn(content: Uint8Array, length: number): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let start = 0; start < length; start += FRAME_SIZE) {
    frames.push(content.subarray(start, Math.min(length, start + FRAME_SIZE)));
  }
  return frames;
}

/** Memory for batches that is used again: to have it made anew for each costs more than to read into it. */
class SpareMemory {
  readonly #spare = new Map<number, SharedArrayBuffer[]>();

  take(size: number): SharedArrayBuffer {
    const room = size <= FRAME_SIZE ? FRAME_SIZE : MAX_OBJECT_SIZE;
    // Rather too much of what is there already than more.
    const spare = this.#spare.get(room)?.pop() ?? this.#spare.get(MAX_OBJECT_SIZE)?.pop();
    return spare ?? new SharedArrayBuffer(room);
  }

  giveBack(memory: SharedArrayBuffer): void {
    const spare = this.#spare.get(memory.byteLength);
    if (spare === undefined) this.#spare.set(memory.byteLength, [memory]);
    else spare.push(memory);
  }
}

function arrayBufferOf(bytes: Buffer): ArrayBuffer {
  if (bytes.buffer instanceof ArrayBuffer) return bytes.buffer;
  throw new Error('a buffer of its own is given away');
}
