/** A thread of unpacking: decompresses frames and writes what is in them to files, with blocking calls. */
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  openSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { BladerootError, describeError } from '../errors.ts';
import { sha256, type Digest } from '../store/digest.ts';
import { FrameDecompressor } from '../store/frame.ts';
import { dataExtents, makeNode, readXattrs, removeXattr, setMtime, setXattr } from '../system/posix.ts';
import { endPhase, letGo } from '../system/collect-garbage.ts';
import { isStopping, serveTasks } from '../system/workers.ts';
import type { BytePath } from './byte-path.ts';
import { OpenedFile, type SeenFile } from './content.ts';
import { lookBelow, type Looked } from './looked-around.ts';
import type { Extent } from './manifest.ts';
import { TreeRoot } from './tree-root.ts';
import { naming } from './unpack-failed.ts';

/** What a thing is to be like, but for its content. */
export interface Attributes {
  mode: number;
  uid: number;
  gid: number;
  /** Nanoseconds since 1970. */
  mtime: bigint;
  /** Not there for the many things that have none: it has to be copied from thread to thread. */
  xattrs: ReadonlyMap<string, Uint8Array> | undefined;
}

/** A file on its way; paths are for system calls, one character a byte. */
export interface FileTarget {
  /** Where it is written. */
  path: string;
  /** What it is called in the end, where that is another path: something is there that it takes the place of. */
  finalPath: string | undefined;
  /** Bytes, with holes. */
  size: number;
  extents: readonly Extent[] | undefined;
  attributes: Attributes;
}

/** Bytes of a frame that go to a file. */
export interface FramePart {
  /** In the frame's content, and in the file's data. */
  from: number;
  length: number;
  at: number;
  file: FileTarget;
  /** Whether they are all the data of the file, which is then complete. */
  isWhole: boolean;
}

export type SmallThing =
  | { type: 'symlink'; path: string; target: string; attributes: Attributes }
  | { type: 'char' | 'block' | 'fifo'; path: string; major: number; minor: number; attributes: Attributes }
  | { type: 'empty'; file: FileTarget }
  | { type: 'hardlink'; path: string; target: string }
  | { type: 'attributes'; path: string; isLink: boolean; attributes: Attributes };

export type UnpackTask =
  | {
      kind: 'frame';
      bytes: Uint8Array;
      size: number;
      bases: Uint8Array | undefined;
      parts: readonly FramePart[];
    }
  /** All the data of these is written: they are given what else they have. */
  | { kind: 'finish'; files: readonly FileTarget[] }
  | { kind: 'make'; things: readonly SmallThing[] }
  /** What is in a directory, by its path as Node has it. */
  | { kind: 'look'; directory: string; mounts: ReadonlySet<BytePath> }
  /** Whether the data of files that are there is what it is to be: digests of parts, of these lengths. */
  | { kind: 'compare'; files: readonly ComparedFile[] }
  /** As a comparison, of files elsewhere: those whose data is what it is to be are copied. */
  | { kind: 'copy'; files: readonly CopiedFile[] };

export interface ComparedFile {
  file: SeenFile;
  extents: readonly Extent[] | undefined;
  objects: readonly { digest: Digest; size: number }[];
}

export interface CopiedFile {
  /** For system calls, one character a byte. */
  from: string;
  file: FileTarget;
  objects: readonly { digest: Digest; size: number }[];
}

export type UnpackResult =
  | { kind: 'done'; written: number }
  | { kind: 'looked'; looked: Looked }
  | { kind: 'compared'; same: boolean[] };

const decompressor = new FrameDecompressor();
process.once('exit', () => decompressor.close());

serveTasks<UnpackTask, UnpackResult>((task) => {
  switch (task.kind) {
    case 'frame':
      return { result: { kind: 'done', written: writeFrame(task) } };
    case 'finish':
      for (const file of task.files) naming(file.path, () => finish(file, openExisting(file.path)));
      return { result: { kind: 'done', written: 0 } };
    case 'make':
      for (const thing of task.things) make(thing);
      return { result: { kind: 'done', written: 0 } };
    case 'look':
      return look(task.directory, task.mounts);
    case 'compare':
      return { result: { kind: 'compared', same: task.files.map(isSame) } };
    case 'copy':
      return { result: { kind: 'compared', same: task.files.map(copy) } };
  }
});

function look(
  directory: string,
  mounts: ReadonlySet<BytePath>,
): { result: UnpackResult; transfer: ArrayBuffer[] } {
  const root = new TreeRoot(directory);
  try {
    const looked = lookBelow(root, mounts, isStopping);
    const parts = [...looked.paths, looked.attributed, ...looked.stats.parts];
    endPhase();
    return { result: { kind: 'looked', looked }, transfer: parts.map(({ buffer }) => buffer) };
  } finally {
    root.close();
  }
}

function writeFrame({ bytes, size, bases, parts }: UnpackTask & { kind: 'frame' }): number {
  let content: Uint8Array;
  try {
    content = decompressor.decompress(bytes, size, bases);
  } catch (error) {
    throw new BladerootError('PACK_DAMAGED', `a frame cannot be decompressed: ${describeError(error)}`);
  }
  let written = 0;
  for (const { from, length, at, file, isWhole } of parts) {
    naming(file.path, () => {
      const fd = isWhole ? openNew(file.path) : openSync(bytesOf(file.path), APPEND_TO, 0o600);
      try {
        writeData(fd, content.subarray(from, from + length), file.extents, at);
        if (isWhole) describe(file, fd);
      } finally {
        closeSync(fd);
      }
      if (isWhole) rename(file);
    });
    written += length;
  }
  letGo(content.length + bytes.length);
  return written;
}

/** Nothing is ever written through what happens to be there. */
const NEW = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
/** Of a file that is written in parts any may come first. */
const APPEND_TO = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW;

function openNew(path: string): number {
  return openSync(bytesOf(path), NEW, 0o600);
}

function openExisting(path: string): number {
  return openSync(bytesOf(path), constants.O_WRONLY | constants.O_NOFOLLOW);
}

/** Writes data at a position of it: between the holes of a sparse file. */
function writeData(fd: number, bytes: Uint8Array, extents: readonly Extent[] | undefined, at: number): void {
  if (extents === undefined) {
    writeAll(fd, bytes, at);
    return;
  }
  let start = 0;
  let done = 0;
  for (const [offset, length] of extents) {
    const skip = at + done - start;
    start += length;
    if (skip >= length) continue;
    const part = bytes.subarray(done, done + length - skip);
    writeAll(fd, part, offset + skip);
    done += part.length;
    if (done === bytes.length) return;
  }
}

function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}

function finish(file: FileTarget, fd: number): void {
  try {
    describe(file, fd);
  } finally {
    closeSync(fd);
  }
  rename(file);
}

/** Owner first, as a change of owner takes setuid bits and capabilities away; the time last, as all else moves it. */
function describe({ path, size, extents, attributes }: FileTarget, fd: number): void {
  if (extents !== undefined) ftruncateSync(fd, size);
  fchownSync(fd, attributes.uid, attributes.gid);
  fchmodSync(fd, attributes.mode);
  for (const [name, value] of attributes.xattrs ?? []) setXattr(path, name, value);
  setMtime(path, attributes.mtime);
}

function rename({ path, finalPath }: FileTarget): void {
  if (finalPath !== undefined) renameSync(bytesOf(path), bytesOf(finalPath));
}

function make(thing: SmallThing): void {
  if (thing.type === 'empty') {
    naming(thing.file.path, () => finish(thing.file, openNew(thing.file.path)));
    return;
  }
  naming(thing.path, () => {
    switch (thing.type) {
      case 'hardlink':
        linkSync(bytesOf(thing.target), bytesOf(thing.path));
        return;
      case 'symlink':
        symlinkSync(bytesOf(thing.target), bytesOf(thing.path));
        setAttributes(thing.path, true, thing.attributes);
        return;
      case 'attributes':
        setAttributes(thing.path, thing.isLink, thing.attributes);
        return;
      default:
        makeNode(thing.path, thing.type, thing.major, thing.minor);
        setAttributes(thing.path, false, thing.attributes);
    }
  });
}

/** All that a thing has but its content; what it inherited from its directory is taken from it. */
function setAttributes(path: string, isLink: boolean, { uid, gid, mode, xattrs, mtime }: Attributes): void {
  lchownSync(bytesOf(path), uid, gid);
  if (!isLink) chmodSync(bytesOf(path), mode);
  for (const name of readXattrs(path).keys()) if (xattrs?.has(name) !== true) removeXattr(path, name);
  for (const [name, value] of xattrs ?? []) setXattr(path, name, value);
  setMtime(path, mtime);
}

function isSame({ file, extents, objects }: ComparedFile): boolean {
  const opened = new OpenedFile(file);
  let from = 0;
  // What ought to be a hole is not looked at: so there must be one.
  let same =
    extents === undefined || isDeepStrictEqual(dataExtents(opened.fd, file.size, file.path), extents);
  for (const { digest, size } of objects) {
    if (!same) break;
    const content = Buffer.allocUnsafe(size);
    opened.read(content, extents, from);
    from += size;
    same = sha256(content) === digest;
  }
  return opened.close() && same;
}

/** Returns whether there was what is wanted; nothing is left behind where there was not. */
function copy({ from, file, objects }: CopiedFile): boolean {
  const source = openIfFile(from, file.size);
  if (source === undefined) return false;
  try {
    return naming(file.path, () => {
      const fd = openNew(file.path);
      let at = 0;
      try {
        for (const { digest, size } of objects) {
          const content = Buffer.allocUnsafe(size);
          source.read(content, file.extents, at);
          if (sha256(content) !== digest) {
            unlinkSync(bytesOf(file.path));
            return false;
          }
          writeData(fd, content, file.extents, at);
          at += size;
          letGo(size);
        }
        describe(file, fd);
      } finally {
        closeSync(fd);
      }
      rename(file);
      return true;
    });
  } finally {
    source.close();
  }
}

/** What is read of it is hashed: that it may be another file by now does not matter. */
function openIfFile(path: string, size: number): OpenedFile | undefined {
  try {
    const opened = new OpenedFile({ path, size, stamp: '' });
    if (opened.isFile) return opened;
    opened.close();
    return undefined;
  } catch {
    // Nothing of that name, or nothing that can be read: then it comes from elsewhere.
    return undefined;
  }
}

function bytesOf(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}
