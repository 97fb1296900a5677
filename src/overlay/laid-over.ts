import { posix } from 'node:path';
import { BladerootError } from '../errors.ts';
import { followLinks, type ImageFile, type ImageFiles } from '../image/files.ts';
import { dirEntry, type OverlayEntry } from './entry.ts';

/** An image with entries laid over it: to be read as one, so that each layer sees those below. */
export class LaidOver implements ImageFiles {
  readonly #image: ImageFiles;
  readonly #entries = new Map<string, OverlayEntry>();

  constructor(image: ImageFiles) {
    this.#image = image;
  }

  /** What has been laid over the image, sorted by path, so that directories stand before what is in them. */
  entries(): OverlayEntry[] {
    return [...this.#entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /**
   * Lays an entry over all that is there. Directories on the way that are links are written through; those that are
   * missing are made. A directory that is there stays as it is: its mode in a working copy of git means nothing.
   * @throws BladerootError `OVERLAY_CONFLICT` when a directory would have to become something else, or the reverse.
   */
  async put(entry: OverlayEntry): Promise<void> {
    if (entry.type === 'dir') return await this.#putDirectory(entry);
    if (entry.type === 'whiteout') return await this.#putWhiteout(entry);
    const parent = await this.#makeDirectories(posix.dirname(entry.path), entry.origin);
    const path = posix.join(parent, posix.basename(entry.path));
    if ((await this.stat(path))?.type === 'dir') {
      throw conflict(entry, `/${path} is a directory; a ${entry.type} cannot take its place`);
    }
    this.#entries.set(path, { ...entry, path });
  }

  async stat(path: string): Promise<ImageFile | undefined> {
    const entry = this.#entries.get(path);
    if (entry === undefined) return this.#isTakenAway(path) ? undefined : await this.#image.stat(path);
    switch (entry.type) {
      case 'whiteout':
        return undefined;
      case 'file':
        return { type: 'file', mode: entry.mode, size: entry.content.length };
      case 'dir':
        return { type: 'dir', mode: entry.mode, size: 0 };
      case 'symlink':
        return { type: 'symlink', mode: entry.mode, size: 0, target: entry.target };
    }
  }

  async list(path: string): Promise<string[]> {
    const names = new Set(this.#isTakenAway(path) ? [] : await this.#image.list(path));
    for (const entry of this.#entries.values()) {
      if (posix.dirname(entry.path) !== (path === '' ? '.' : path)) continue;
      if (entry.type === 'whiteout') names.delete(posix.basename(entry.path));
      else names.add(posix.basename(entry.path));
    }
    return [...names].sort();
  }

  async read(path: string): Promise<Buffer> {
    const entry = this.#entries.get(path);
    return entry?.type === 'file' ? entry.content : await this.#image.read(path);
  }

  async #putDirectory(entry: OverlayEntry & { type: 'dir' }): Promise<void> {
    const path = await this.#makeDirectories(entry.path, entry.origin);
    if (this.#entries.get(path)?.type === 'dir') this.#entries.set(path, { ...entry, path });
  }

  async #putWhiteout(entry: OverlayEntry & { type: 'whiteout' }): Promise<void> {
    const parent = await followLinks(this, posix.dirname(entry.path));
    if (parent === undefined) return;
    const path = posix.join(parent, posix.basename(entry.path));
    if ((await this.#image.stat(path)) === undefined) this.#entries.delete(path);
    else this.#entries.set(path, { ...entry, path });
  }

  /** The real path of a directory, which is made where it is missing. */
  async #makeDirectories(path: string, origin: string): Promise<string> {
    let real = '';
    for (const part of path.split('/').filter((part) => part !== '.')) {
      const next = posix.join(real, part);
      const there = await followLinks(this, next);
      if (there === undefined) {
        if ((await this.stat(next)) !== undefined)
          throw conflict({ origin }, `/${next} is a link to nowhere`);
        this.#entries.set(next, dirEntry(next, origin));
      } else if ((await this.stat(there))?.type !== 'dir') {
        throw conflict({ origin }, `/${there} is not a directory, and nothing can be put into it`);
      }
      real = there ?? next;
    }
    return real;
  }

  #isTakenAway(path: string): boolean {
    for (let at = path; at !== '.' && at !== ''; at = posix.dirname(at)) {
      if (this.#entries.get(at)?.type === 'whiteout') return true;
    }
    return false;
  }
}

function conflict({ origin }: { origin: string }, why: string): BladerootError {
  return new BladerootError('OVERLAY_CONFLICT', `${origin}: ${why}`, {
    hint: 'change the overlay, or the image that it is laid over',
  });
}
