/** A thread of packing: reads files, finds their holes and cuts, hashes, compresses, and writes into the pack. */
import { readSync, writeSync } from 'node:fs';
import { errorCode } from '../errors.ts';
import { sha256, type Digest } from '../store/digest.ts';
import { FRAME_SIZE, FrameCompressor } from '../store/frame.ts';
import type { HashRequest } from '../store/pack-writer.ts';
import { dataExtents, readXattrs } from '../system/posix.ts';
import { giveBack } from '../system/collect-garbage.ts';
import { isStopping, serveTasks } from '../system/workers.ts';
import { isMissing } from './tree-root.ts';
import { OpenedFile, type SeenFile } from './content.ts';
import { Cutter } from './cut.ts';
import type { Extent } from './manifest.ts';

/** A part of a file's data that becomes an object: the whole of it, or what lies between two cuts. */
export interface FilePart {
  file: SeenFile;
  extents: readonly Extent[] | undefined;
  /** Position in the data, and length; bytes. */
  from: number;
  length: number;
}

export type PackTask =
  /** Where the data of a file is, and where it is cut. */
  | { kind: 'scan'; file: SeenFile }
  /** Reads parts into memory that all threads share, one after the other, and hashes them. */
  | { kind: 'read'; parts: readonly FilePart[]; into: SharedArrayBuffer }
  /** Hashes contents of these lengths, which lie in shared memory one after the other. */
  | { kind: 'digest'; lengths: readonly number[]; from: SharedArrayBuffer }
  /**
   * Compresses a part of shared memory, as a patch on `bases` if there are any, and keeps the frames under a number until
   * they are written.
   */
  | { kind: 'compress'; number: number; content: Uint8Array; bases: Uint8Array | undefined }
  /** Writes the frames of a number into an open file, from `start` on, and forgets them. */
  | { kind: 'write'; number: number; fd: number; start: number }
  /** Hashes a part of an open file. */
  | ({ kind: 'hash' } & HashRequest);

/** What is wrong with a file: it is not what the walk saw, or it is gone. */
export type FileProblem = 'changed' | 'vanished';

export type PackResult =
  | {
      kind: 'scanned';
      extents: readonly Extent[] | undefined;
      parts: number[];
      problem: FileProblem | undefined;
    }
  | { kind: 'read'; parts: ReadPart[] }
  | { kind: 'compressed'; frames: FrameLengths[]; isPatch: boolean }
  | { kind: 'written' }
  | { kind: 'hashed'; digest: Digest };

export interface ReadPart {
  digest: Digest;
  /** Of its file. */
  xattrs: ReadonlyMap<string, Uint8Array>;
  problem: FileProblem | undefined;
}

/** Of a frame, and of its content; bytes. */
export interface FrameLengths {
  bytes: number;
  size: number;
}

interface Compressed {
  frames: { frame: Uint8Array; size: number }[];
  isPatch: boolean;
}

const compressor = new FrameCompressor();
process.once('exit', () => compressor.close());

/** Frames that have no place in the pack yet. */
const compressed = new Map<number, Uint8Array[]>();

/** Where a piece of the pack is read to. */
let piece = new Uint8Array();

serveTasks<PackTask, PackResult>((task) => {
  switch (task.kind) {
    case 'scan':
      return { result: scan(task.file) };
    case 'read':
      return { result: read(task.parts, task.into) };
    case 'digest': {
      const contents = contentsIn(task.from, task.lengths);
      const parts = contents.map((content) => ({
        digest: sha256(content),
        xattrs: NONE,
        problem: undefined,
      }));
      return { result: { kind: 'read', parts } };
    }
    case 'compress': {
      const { frames, isPatch } = smallest(task.content, task.bases);
      if (task.bases !== undefined) giveBack(task.bases);
      compressed.set(
        task.number,
        frames.map(({ frame }) => frame),
      );
      const lengths = frames.map(({ frame, size }) => ({ bytes: frame.length, size }));
      return { result: { kind: 'compressed', frames: lengths, isPatch } };
    }
    case 'write':
      write(task.number, task.fd, task.start);
      return { result: { kind: 'written' } };
    case 'hash':
      return { result: { kind: 'hashed', digest: hash(task) } };
  }
});

const NONE: ReadPart['xattrs'] = new Map();

const SCAN_SIZE = 1024 * 1024;

function scan(file: SeenFile): PackResult {
  const opened = open(file);
  if (opened === undefined) return { kind: 'scanned', extents: undefined, parts: [], problem: 'vanished' };
  let extents: readonly Extent[] | undefined = dataExtents(opened.fd, file.size, file.path);
  // One that is all data is not sparse, whatever the file system says of its blocks.
  if (extents.length === 1 && extents[0]?.[1] === file.size) extents = undefined;
  const length = extents === undefined ? file.size : extents.reduce((sum, extent) => sum + extent[1], 0);
  const cutter = new Cutter();
  const buffer = Buffer.allocUnsafe(SCAN_SIZE);
  for (let from = 0; from < length; from += SCAN_SIZE) {
    if (isStopping()) break;
    const part = buffer.subarray(0, Math.min(SCAN_SIZE, length - from));
    opened.read(part, extents, from);
    cutter.add(part);
  }
  const problem = opened.close() ? undefined : 'changed';
  return { kind: 'scanned', extents, parts: cutter.finish(), problem };
}

function read(parts: readonly FilePart[], into: SharedArrayBuffer): PackResult {
  const contents = contentsIn(
    into,
    parts.map(({ length }) => length),
  );
  const results = parts.map(({ file, extents, from }, i): ReadPart => {
    const content = contents[i] ?? new Uint8Array();
    const opened = open(file);
    if (opened === undefined) return { digest: '', xattrs: NONE, problem: 'vanished' };
    opened.read(content, extents, from);
    const xattrs = xattrsOf(file.path);
    const isSame = opened.close();
    if (xattrs === undefined) return { digest: '', xattrs: NONE, problem: 'vanished' };
    return { digest: sha256(content), xattrs, problem: isSame ? undefined : 'changed' };
  });
  return { kind: 'read', parts: results };
}

/** The places of contents that lie one after the other. */
function contentsIn(memory: SharedArrayBuffer, lengths: readonly number[]): Uint8Array[] {
  let end = 0;
  return lengths.map((length) => new Uint8Array(memory, (end += length) - length, length));
}

/** Undefined when the file is gone, or something else has come in its place. */
function open(file: SeenFile): OpenedFile | undefined {
  try {
    const opened = new OpenedFile(file);
    if (opened.isFile) return opened;
    opened.close();
    return undefined;
  } catch (error) {
    if (isMissing(error) || errorCode(error) === 'ELOOP') return undefined;
    throw error;
  }
}

function xattrsOf(path: string): ReadPart['xattrs'] | undefined {
  try {
    return readXattrs(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** A patch on the bases where that is less than frames that stand alone. */
function smallest(content: Uint8Array, bases: Uint8Array | undefined): Compressed {
  const patch = bases && compressor.patch(content, bases);
  const patched = patch && { frames: [{ frame: patch, size: content.length }], isPatch: true };
  if (patched && patch.length < content.length / CLEARLY_LESS) return patched;
  const alone = { frames: framesOf(content), isPatch: false };
  const isLess = patched && patch.length < alone.frames.reduce((sum, { frame }) => sum + frame.length, 0);
  const [taken, other] = isLess === true ? [patched, alone] : [alone, patched];
  for (const { frame } of other?.frames ?? []) giveBack(frame);
  return taken;
}

/** A patch of this share of the content is taken without a look at what the content makes alone. */
const CLEARLY_LESS = 8;

function framesOf(content: Uint8Array): Compressed['frames'] {
  const found: Compressed['frames'] = [];
  for (let start = 0; start < content.length; start += FRAME_SIZE) {
    const part = content.subarray(start, start + FRAME_SIZE);
    found.push({ frame: compressor.compress(part), size: part.length });
  }
  return found;
}

function write(number: number, fd: number, start: number): void {
  let end = start;
  for (const frame of compressed.get(number) ?? []) {
    for (let done = 0; done < frame.length;) {
      done += writeSync(fd, frame, done, frame.length - done, end + done);
    }
    end += frame.length;
    giveBack(frame);
  }
  compressed.delete(number);
}

function hash({ fd, start, length }: HashRequest): Digest {
  if (piece.length < length) piece = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const read = readSync(fd, piece, done, length - done, start + done);
    if (read === 0) throw new Error('a pack is shorter than what was written to it');
    done += read;
  }
  return sha256(piece.subarray(0, length));
}
