/** A thread of packing: reads files, finds their holes and cuts, hashes, compresses. */
import { sha256, type Digest } from '../store/digest.ts';
import { compressFrame, compressPatch, FRAME_SIZE } from '../store/frame.ts';
import { dataExtents, readXattrs } from '../system/posix.ts';
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
  /** Reads parts, which the thread keeps under the batch's number, and hashes them. */
  | { kind: 'read'; batch: number; parts: readonly FilePart[] }
  /** As `read`, for contents that are at hand. */
  | { kind: 'take'; batch: number; contents: readonly Uint8Array[] }
  /** Compresses the parts of a batch that are `kept`, by their numbers, against `bases` if there are any, and forgets all. */
  | { kind: 'compress'; batch: number; kept: readonly number[]; bases: Uint8Array | undefined };

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
  | { kind: 'compressed'; frames: CompressedFrame[]; isPatch: boolean };

export interface ReadPart {
  digest: Digest;
  /** Of its file. */
  xattrs: ReadonlyMap<string, Uint8Array>;
  problem: FileProblem | undefined;
}

export interface CompressedFrame {
  bytes: Uint8Array;
  /** Of the content. */
  size: number;
}

/** Contents by batch, each part's in its place. */
const batches = new Map<number, Uint8Array[]>();

serveTasks<PackTask, PackResult>((task) => {
  switch (task.kind) {
    case 'scan':
      return { result: scan(task.file) };
    case 'read':
      return { result: read(task.batch, task.parts) };
    case 'take': {
      batches.set(task.batch, [...task.contents]);
      const parts = task.contents.map((content) => ({
        digest: sha256(content),
        xattrs: NONE,
        problem: undefined,
      }));
      return { result: { kind: 'read', parts } };
    }
    case 'compress': {
      const { frames, isPatch } = compress(task.batch, task.kept, task.bases);
      return {
        result: { kind: 'compressed', frames, isPatch },
        transfer: frames.map(({ bytes }) => bufferOf(bytes)),
      };
    }
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

function read(batch: number, parts: readonly FilePart[]): PackResult {
  const contents = Buffer.allocUnsafeSlow(parts.reduce((sum, { length }) => sum + length, 0));
  const kept: Uint8Array[] = [];
  batches.set(batch, kept);
  let end = 0;
  const results = parts.map(({ file, extents, from, length }): ReadPart => {
    const content = contents.subarray(end, (end += length));
    kept.push(content);
    const opened = open(file);
    if (opened === undefined) return { digest: '', xattrs: NONE, problem: 'vanished' };
    opened.read(content, extents, from);
    const xattrs = readXattrs(file.path);
    const problem = opened.close() ? undefined : 'changed';
    return { digest: sha256(content), xattrs, problem };
  });
  return { kind: 'read', parts: results };
}

function open(file: SeenFile): OpenedFile | undefined {
  try {
    return new OpenedFile(file);
  } catch (error) {
    // ELOOP: a symbolic link has come in its place.
    if (isMissing(error) || isLoop(error)) return undefined;
    throw error;
  }
}

function isLoop(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ELOOP';
}

function compress(
  batch: number,
  kept: readonly number[],
  bases: Uint8Array | undefined,
): { frames: CompressedFrame[]; isPatch: boolean } {
  const contents = batches.get(batch) ?? [];
  batches.delete(batch);
  const content = Buffer.concat(kept.map((number) => contents[number] ?? new Uint8Array()));
  const alone = frames(content);
  const patch = bases === undefined ? undefined : compressPatch(content, bases);
  if (patch !== undefined && patch.length < alone.reduce((sum, { bytes }) => sum + bytes.length, 0)) {
    return { frames: [{ bytes: compact(patch), size: content.length }], isPatch: true };
  }
  return { frames: alone, isPatch: false };
}

function frames(content: Buffer): CompressedFrame[] {
  const found: CompressedFrame[] = [];
  for (let start = 0; start < content.length; start += FRAME_SIZE) {
    const part = content.subarray(start, start + FRAME_SIZE);
    found.push({ bytes: compact(compressFrame(part)), size: part.length });
  }
  return found;
}

/** In a buffer of its own, which can be given away: zlib's is as long as the content could have become. */
function compact(bytes: Buffer): Uint8Array {
  return new Uint8Array(bytes);
}

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  if (bytes.buffer instanceof ArrayBuffer) return bytes.buffer;
  throw new Error('a frame is not in shared memory');
}
