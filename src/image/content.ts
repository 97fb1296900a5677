/** Reading the data of a file in a tree, as the worker threads do it: with blocking calls, and never more than was seen. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { Extent } from './manifest.ts';
import { stampOf, thingStat } from './thing-stat.ts';

/** A file as the walk saw it. */
export interface SeenFile {
  /** For system calls, one character a byte. */
  path: string;
  /** What `stampOf` says of it. */
  stamp: string;
  /** Bytes, with holes. */
  size: number;
}

/** A file that is open for reading; whether it is still what was seen is known when it is closed. */
export class OpenedFile {
  readonly fd: number;
  /** Whether it is a regular file still. */
  readonly isFile: boolean;
  /** Bytes, with holes, as it was opened. */
  readonly size: number;
  readonly #seen: SeenFile;
  readonly #same: boolean;

  /** @throws Error `ENOENT` and the like, `ELOOP` when a symbolic link has come in its place */
  constructor(seen: SeenFile) {
    // Not to follow a link that has come in its place, nor to wait for who writes into a fifo.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    this.fd = openSync(Buffer.from(seen.path, 'latin1'), flags);
    this.#seen = seen;
    const stat = fstatSync(this.fd, { bigint: true });
    this.isFile = stat.isFile();
    this.size = Number(stat.size);
    this.#same = stampOf(thingStat(stat)) === seen.stamp;
  }

  /**
   * Fills a buffer with the file's data from a position on; what is not there (any more) is zeros.
   * @param extents where the data is; undefined where it is all of the file
   * @param from a position in the data: in what the extents hold, one after the other
   */
  read(into: Uint8Array, extents: readonly Extent[] | undefined, from: number): void {
    let skip = from;
    let done = 0;
    for (const [offset, length] of extents ?? [[0, this.#seen.size]]) {
      const inside = Math.min(length - skip, into.length - done);
      if (inside > 0) {
        this.#readAt(into.subarray(done, done + inside), offset + skip);
        done += inside;
      }
      skip = Math.max(0, skip - length);
      if (done === into.length) return;
    }
    into.fill(0, done);
  }

  /** Returns whether the file has been, all the time, what was seen. */
  close(): boolean {
    const same = this.#same && stampOf(thingStat(fstatSync(this.fd, { bigint: true }))) === this.#seen.stamp;
    closeSync(this.fd);
    return same;
  }

  #readAt(into: Uint8Array, position: number): void {
    for (let done = 0; done < into.length;) {
      const read = readSync(this.fd, into, done, into.length - done, position + done);
      if (read === 0) {
        into.fill(0, done);
        return;
      }
      done += read;
    }
  }
}

/** A regular file, to be read for what it is now; undefined where there is none that can be read. */
export function openIfFile(path: string): OpenedFile | undefined {
  try {
    const opened = new OpenedFile({ path, size: Infinity, stamp: '' });
    if (opened.isFile) return opened;
    opened.close();
    return undefined;
  } catch {
    return undefined;
  }
}
