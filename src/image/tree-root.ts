import { closeSync, lstatSync, openSync } from 'node:fs';
import { BladerootError, errorCode } from '../errors.ts';
import type { BytePath } from './byte-path.ts';

/** What Linux takes as one path is shorter than PATH_MAX, 4096 bytes with its end (linux/limits.h). */
const LONGEST = 4000;

/**
 * The directory that a tree is in, and the paths by which the system is asked for what is in it. A path that is longer
 * than Linux takes goes through a directory on its way that is held open, `/proc/self/fd/N/REST`; so it can be of any
 * length.
 */
export class TreeRoot {
  /** As bytes, see BytePath. */
  readonly #directory: string;
  /** Directories that are held open, by how they were called. */
  readonly #held = new Map<string, number>();

  /** @throws BladerootError `TREE_MISSING` */
  constructor(directory: string) {
    this.#directory = Buffer.from(directory).toString('latin1');
    const stat = lstatSync(directory, { throwIfNoEntry: false });
    if (stat?.isDirectory() !== true)
      throw new BladerootError('TREE_MISSING', `${directory} is not a directory`);
  }

  /** The path for system calls, one character a byte. */
  at(path: BytePath): string {
    return this.#short(path === '' ? this.#directory : `${this.#directory}/${path}`);
  }

  /** The path for Node. */
  bytesAt(path: BytePath): Buffer {
    return Buffer.from(this.at(path), 'latin1');
  }

  /** Lets go of what is held open; paths that `at` gave are of no use then. */
  close(): void {
    for (const fd of this.#held.values()) closeSync(fd);
    this.#held.clear();
  }

  #short(full: string): string {
    if (full.length < LONGEST) return full;
    const end = full.lastIndexOf('/', LONGEST - 1);
    const fd = this.#hold(full.slice(0, end));
    return this.#short(`/proc/self/fd/${fd}${full.slice(end)}`);
  }

  #hold(directory: string): number {
    const held = this.#held.get(directory);
    if (held !== undefined) return held;
    const fd = openSync(Buffer.from(directory, 'latin1'), 'r');
    this.#held.set(directory, fd);
    return fd;
  }
}

/** Whether an error says that there is nothing of that name. */
export function isMissing(error: unknown): boolean {
  return errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR';
}
