/** A thread of packing: reads files, finds their holes and cuts, hashes, compresses. */
import { sha256, type Digest } from '../store/digest.ts';
import { compressFrame, compressPatch, FRAME_SIZE } from '../store/frame.ts';
import { dataExtents, readXattrs } from '../system/posix.ts';
import { letGo } from '../system/collect-garbage.ts';
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

/** The contents of a batch: one after the other, and each by itself. */
interface Contents {
  whole: Uint8Array;
  parts: readonly Uint8Array[];
}

const batches = new Map<number, Contents>();

/** Buffers of a frame's size that are used again: to allocate one for each batch costs more than reading it. */
const spare: Uint8Array[] = [];

serveTasks<PackTask, PackResult>((task) => {
  switch (task.kind) {
    case 'scan':
      return { result: scan(task.file) };
    case 'read':
      return { result: read(task.batch, task.parts) };
    case 'take': {
      const contents = contentsOf(task.contents.map(({ length }) => length));
      for (const [i, content] of task.contents.entries()) contents.parts[i]?.set(content);
      batches.set(task.batch, contents);
      const parts = contents.parts.map((content) => ({
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
  const contents = contentsOf(parts.map(({ length }) => length));
  batches.set(batch, contents);
  const results = parts.map(({ file, extents, from }, i): ReadPart => {
    const content = contents.parts[i] ?? new Uint8Array();
    const opened = open(file);
    if (opened === undefined) return { digest: '', xattrs: NONE, problem: 'vanished' };
    opened.read(content, extents, from);
    const xattrs = readXattrs(file.path);
    const problem = opened.close() ? undefined : 'changed';
    return { digest: sha256(content), xattrs, problem };
  });
  return { kind: 'read', parts: results };
}

/** Room for parts of these lengths. */
function contentsOf(lengths: readonly number[]): Contents {
  const size = lengths.reduce((sum, length) => sum + length, 0);
  const whole = (size <= FRAME_SIZE ? spare.pop() : undefined) ?? new Uint8Array(Math.max(size, FRAME_SIZE));
  let end = 0;
  return { whole, parts: lengths.map((length) => whole.subarray(end, (end += length))) };
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
  const contents = batches.get(batch);
  if (contents === undefined) throw new Error(`there is no batch ${batch}`);
  batches.delete(batch);
  const content = onlyKept(contents, kept);
  const alone = frames(content);
  const patch = bases === undefined ? undefined : compressPatch(content, bases);
  const isPatch =
    patch !== undefined && patch.length < alone.reduce((sum, { bytes }) => sum + bytes.length, 0);
  letGo(content.length + (bases?.length ?? 0));
  if (contents.whole.length === FRAME_SIZE && spare.length < SPARE) spare.push(contents.whole);
  return { frames: isPatch ? [{ bytes: patch, size: content.length }] : alone, isPatch };
}

/** As many as batches are in the works for a thread. */
const SPARE = 4;

/** The parts that are kept, moved together. */
function onlyKept({ whole, parts }: Contents, kept: readonly number[]): Uint8Array {
  let end = 0;
  for (const number of kept) {
    const part = parts[number] ?? new Uint8Array();
    whole.copyWithin(
      end,
      part.byteOffset - whole.byteOffset,
      part.byteOffset - whole.byteOffset + part.length,
    );
    end += part.length;
  }
  return whole.subarray(0, end);
}

function frames(content: Uint8Array): CompressedFrame[] {
  const found: CompressedFrame[] = [];
  for (let start = 0; start < content.length; start += FRAME_SIZE) {
    const part = content.subarray(start, start + FRAME_SIZE);
    found.push({ bytes: compressFrame(part), size: part.length });
  }
  return found;
}

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  if (bytes.buffer instanceof ArrayBuffer) return bytes.buffer;
  throw new Error('a frame is not in shared memory');
}
