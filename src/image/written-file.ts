/** A file as it is written: its data, then all else that it has. Blocking calls, for a thread. */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  openSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { setMtime, setXattr } from '../system/posix.ts';
import type { Extent } from './manifest.ts';
import type { FileTarget } from './unpack-task.ts';

/** Nothing is ever written through what happens to be there. */
const NEW = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
/** Of a file that is written in parts any may come first. */
const PART_OF = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW;

export function openNew(path: string): number {
  return openSync(bytesOf(path), NEW, 0o600);
}

export function openExisting(path: string): number {
  return openSync(bytesOf(path), constants.O_WRONLY | constants.O_NOFOLLOW);
}

export function openForPart(path: string): number {
  return openSync(bytesOf(path), PART_OF, 0o600);
}

/** Writes data at a position of it: between the holes of a sparse file. */
export function writeData(
  fd: number,
  bytes: Uint8Array,
  extents: readonly Extent[] | undefined,
  at: number,
): void {
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

export function finish(file: FileTarget, fd: number): void {
  try {
    describe(file, fd);
  } finally {
    closeSync(fd);
  }
  rename(file);
}

/** Owner first, as a change of owner takes setuid bits and capabilities away; the time last, as all else moves it. */
export function describe({ path, size, extents, attributes }: FileTarget, fd: number): void {
  if (extents !== undefined) ftruncateSync(fd, size);
  fchownSync(fd, attributes.uid, attributes.gid);
  fchmodSync(fd, attributes.mode);
  for (const [name, value] of attributes.xattrs ?? []) setXattr(path, name, value);
  setMtime(path, attributes.mtime);
}

export function rename({ path, finalPath }: FileTarget): void {
  if (finalPath !== undefined) renameSync(bytesOf(path), bytesOf(finalPath));
}

/** A path as system calls have it, of one that has a character for each byte. */
export function bytesOf(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}
