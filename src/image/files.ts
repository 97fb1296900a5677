/**
 * A root filesystem that is read, never run: a tree in a directory, or a snapshot in a store.
 * Paths are relative to its root, without a leading slash; '' is the root itself.
 */
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { errorCode } from '../errors.ts';
import { readXattrs } from '../system/posix.ts';
import { fromText } from './byte-path.ts';

export type ImageFileType = 'file' | 'dir' | 'symlink' | 'other';

export interface ImageFile {
  type: ImageFileType;
  /** Permission bits, such as 0o4755. */
  mode: number;
  uid: number;
  gid: number;
  /** Bytes; 0 for all but files. */
  size: number;
  /** Where a symbolic link points, as it is written in the link. */
  target?: string;
  /** Raw values by name, sorted by name; a name's characters are its bytes. */
  xattrs: ReadonlyMap<string, Buffer>;
}

export interface ImageFiles {
  /** As lstat: the last component is not followed. Undefined when there is nothing of that name. */
  stat(path: string): Promise<ImageFile | undefined>;
  /** The names in a directory, sorted; empty when there is no such directory. */
  list(path: string): Promise<string[]>;
  /** The content of a regular file. */
  read(path: string): Promise<Buffer>;
}

/** A tree in a directory. */
export class DirectoryFiles implements ImageFiles {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  async stat(path: string): Promise<ImageFile | undefined> {
    const full = join(this.root, path);
    try {
      const stat = await lstat(full);
      const xattrs = readXattrs(fromText(full));
      const common = { mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid, size: 0, xattrs };
      if (stat.isSymbolicLink()) return { ...common, type: 'symlink', target: await readlink(full) };
      if (stat.isDirectory()) return { ...common, type: 'dir' };
      if (stat.isFile()) return { ...common, type: 'file', size: stat.size };
      return { ...common, type: 'other' };
    } catch (error) {
      if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
      throw error;
    }
  }

  async list(path: string): Promise<string[]> {
    try {
      return (await readdir(join(this.root, path))).sort();
    } catch (error) {
      if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return [];
      throw error;
    }
  }

  async read(path: string): Promise<Buffer> {
    return await readFile(join(this.root, path));
  }
}

/** Linux gives up after as many (path_resolution(7)). */
const MAX_LINKS = 40;

/**
 * The path that `path` really names once every symbolic link in it is followed inside the image, as chroot would;
 * undefined when it leads nowhere or round in a circle.
 */
export async function followLinks(files: ImageFiles, path: string): Promise<string | undefined> {
  let rest = path.split('/').filter((part) => part !== '' && part !== '.');
  let done = '';
  for (let links = 0; rest.length > 0;) {
    const [part, ...after] = rest;
    if (part === undefined) break;
    if (part === '..') {
      done = done.includes('/') ? posix.dirname(done) : '';
      rest = after;
      continue;
    }
    const next = done === '' ? part : `${done}/${part}`;
    const stat = await files.stat(next);
    if (stat === undefined) return undefined;
    if (stat.type === 'symlink' && stat.target !== undefined) {
      if (++links > MAX_LINKS) return undefined;
      if (stat.target.startsWith('/')) done = '';
      rest = [...stat.target.split('/').filter((name) => name !== '' && name !== '.'), ...after];
    } else {
      done = next;
      rest = after;
    }
  }
  return done;
}
