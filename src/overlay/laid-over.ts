import { posix } from 'node:path';
import { BladerootError } from '../errors.ts';
import { followLinks, type ImageFile, type ImageFiles } from '../image/files.ts';
import { joinLines } from './lines.ts';
import {
  dirEntry,
  isSecret,
  metadataOf,
  type DirEntry,
  type Metadata,
  type OverlayEntry,
  type WhiteoutEntry,
} from './entry.ts';

type Laid = Exclude<OverlayEntry, WhiteoutEntry>;

/** An image with entries laid over it: to be read as one, so that each layer sees those below. */
export class LaidOver implements ImageFiles {
  readonly #image: ImageFiles;
  /** What has been laid over the image, by path; whiteouts apart. */
  readonly #entries = new Map<string, Laid>();
  /** The names of what has been laid into a directory. */
  readonly #names = new Map<string, Set<string>>();
  /** What of the image is gone, by path, with all that is in it; something else may have been laid in its place. */
  readonly #gone = new Map<string, { whiteout: WhiteoutEntry; wasDirectory: boolean }>();
  /** Links that something has been laid in the place of: what they lead to does not lie below their paths any more. */
  readonly #replacedLinks = new Set<string>();
  /** Where directories really are, by path; empty again when a link has come or gone. */
  readonly #real = new Map<string, string>();
  /** Contents of laid files that somebody has asked for. */
  readonly #looked = new Set<Buffer>();
  /** What contents were joined of. */
  readonly #joined = new Map<Buffer, readonly Buffer[]>();

  constructor(image: ImageFiles) {
    this.#image = image;
  }

  /**
   * What has been laid over the image, sorted by path, so that directories stand before what is in them. A path can stand
   * twice: the whiteout of what the image has there comes before what takes its place.
   */
  entries(): OverlayEntry[] {
    const all: OverlayEntry[] = [...this.#entries.values()];
    for (const { whiteout, wasDirectory } of this.#gone.values()) {
      // A file takes the place of another one, or of a link, by itself.
      const type = this.#entries.get(whiteout.path)?.type;
      if (type === undefined || type === 'dir' || wasDirectory) all.unshift(whiteout);
    }
    return all.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  }

  /**
   * Lays an entry over all that is there. Directories on the way that are links are written through; those that are
   * missing are made. A directory that is there stays as it is: its mode in a working copy of git means nothing.
   * @returns the path that it really has
   * @throws BladerootError `OVERLAY_CONFLICT` when a directory would have to become something else, or the reverse.
   */
  async put(entry: OverlayEntry): Promise<string> {
    if (entry.type === 'dir') return await this.putDirectory(entry);
    if (entry.type === 'whiteout') return await this.#putWhiteout(entry);
    const parent = await this.#makeDirectories(parentOf(entry.path), entry.origin);
    const path = within(parent, posix.basename(entry.path));
    const there = await this.stat(path);
    if (there?.type === 'dir') {
      throw conflict(entry, `/${path} is a directory; a ${entry.type} cannot take its place`);
    }
    if (there?.type === 'symlink') this.#replacedLinks.add(path);
    if (there?.type === 'symlink' || entry.type === 'symlink') this.#real.clear();
    this.#set(path, entry);
    return path;
  }

  /** Whether what lies there is decrypted on the blade alone. */
  isSecret(path: string): boolean {
    const entry = this.#entries.get(path);
    return entry !== undefined && isSecret(entry);
  }

  async stat(path: string): Promise<ImageFile | undefined> {
    const entry = this.#entries.get(path);
    if (entry === undefined) return this.#isGone(path) ? undefined : await this.#image.stat(path);
    const { type, mode, uid, gid, xattrs = NO_XATTRS } = entry;
    const common = { mode, uid, gid, xattrs };
    if (type !== 'file')
      return { type, ...common, size: 0, ...(type === 'symlink' ? { target: entry.target } : {}) };
    const { content } = entry;
    // How long it is says something of it: an empty unit is a mask.
    const size = (): number => this.#lookAt(content).length;
    return {
      type,
      ...common,
      get size() {
        return size();
      },
    };
  }

  async list(path: string): Promise<string[]> {
    const laid = this.#names.get(path);
    const isGone = this.#isGone(path) || this.#replacedLinks.has(path);
    const names = isGone ? [] : await this.#image.list(path);
    const kept = this.#gone.size === 0 ? names : names.filter((name) => !this.#gone.has(within(path, name)));
    return laid === undefined ? kept : [...new Set([...kept, ...laid])].sort();
  }

  async read(path: string): Promise<Buffer> {
    const entry = this.#entries.get(path);
    return entry?.type === 'file' ? this.#lookAt(entry.content) : await this.#image.read(path);
  }

  /** The content of a file with lines added to it. */
  async joinLines(path: string, lines: Buffer): Promise<Buffer> {
    const entry = this.#entries.get(path);
    const parts = [
      ...this.partsOf(entry?.type === 'file' ? entry.content : await this.#image.read(path)),
      lines,
    ];
    const content = joinLines(parts);
    this.#joined.set(content, parts);
    return content;
  }

  /** What a content was joined of; of one that has been laid as it is, just that. */
  partsOf(content: Buffer): readonly Buffer[] {
    return this.#joined.get(content) ?? [content];
  }

  /** Whether anything but other contents may depend on what this one says. */
  hasLookedAt(content: Buffer): boolean {
    return this.#looked.has(content);
  }

  #lookAt(content: Buffer): Buffer {
    for (const part of this.partsOf(content)) this.#looked.add(part);
    return content;
  }

  /** Where what is at a path comes from; undefined when it is the image's own. */
  originOf(path: string): string | undefined {
    return this.#entries.get(path)?.origin;
  }

  /**
   * Gives what is laid at a path another owner, mode or attributes; a directory of the image is laid over itself.
   * @param path without links in it, of what is there
   */
  async change(path: string, to: Partial<Metadata>, origin: string): Promise<void> {
    const entry = this.#entries.get(path);
    if (entry !== undefined) return this.#set(path, { ...entry, ...to });
    const there = await this.stat(path);
    if (there?.type === 'dir') this.#set(path, { ...dirEntry(path, origin), ...metadataOf(there), ...to });
  }

  /** Lays a directory, with those that it lies in. */
  async putDirectory(entry: DirEntry): Promise<string> {
    const path = await this.#makeDirectories(entry.path, entry.origin);
    if (this.#entries.get(path)?.type === 'dir') this.#set(path, entry);
    return path;
  }

  /** What lies there, or in there, of lower layers goes as well; what the image never had need not be taken away. */
  async #putWhiteout(entry: WhiteoutEntry): Promise<string> {
    const parent = await followLinks(this, parentOf(entry.path));
    if (parent === undefined || (await this.stat(parent))?.type !== 'dir') return entry.path;
    const path = within(parent, posix.basename(entry.path));
    this.#forget(path);
    this.#real.clear();
    const there = this.#isGone(path) ? undefined : await this.#image.stat(path);
    if (there === undefined) return path;
    for (const inside of this.#gone.keys()) if (inside.startsWith(`${path}/`)) this.#gone.delete(inside);
    this.#gone.set(path, { whiteout: { ...entry, path }, wasDirectory: there.type === 'dir' });
    return path;
  }

  /** The real path of a directory, which is made where it is missing. */
  async #makeDirectories(path: string, origin: string): Promise<string> {
    if (path === '') return '';
    const known = this.#real.get(path);
    if (known !== undefined) return known;
    const next = within(await this.#makeDirectories(parentOf(path), origin), posix.basename(path));
    const there = await this.stat(next);
    if (there === undefined) this.#set(next, dirEntry(next, origin));
    const real = there?.type === 'symlink' ? await followLinks(this, next) : next;
    if (real === undefined) throw conflict({ origin }, `/${next} is a link to nowhere`);
    const type = real === next ? (there?.type ?? 'dir') : (await this.stat(real))?.type;
    if (type !== 'dir') {
      throw conflict({ origin }, `/${real} is not a directory, and nothing can be put into it`);
    }
    this.#real.set(path, real);
    return real;
  }

  #set(path: string, entry: Laid): void {
    this.#entries.set(path, entry.path === path ? entry : { ...entry, path });
    const parent = parentOf(path);
    const names = this.#names.get(parent);
    if (names === undefined) this.#names.set(parent, new Set([posix.basename(path)]));
    else names.add(posix.basename(path));
  }

  /** Takes away what has been laid at a path and below it. */
  #forget(path: string): void {
    for (const laid of this.#entries.keys()) {
      if (laid !== path && !laid.startsWith(`${path}/`)) continue;
      this.#entries.delete(laid);
      this.#names.get(parentOf(laid))?.delete(posix.basename(laid));
    }
  }

  /** Whether the image's own thing at a path is gone, by itself or with what it lies in. */
  #isGone(path: string): boolean {
    if (this.#gone.size === 0 && this.#replacedLinks.size === 0) return false;
    if (this.#gone.has(path)) return true;
    for (let at = parentOf(path); at !== ''; at = parentOf(at)) {
      if (this.#gone.has(at) || this.#replacedLinks.has(at)) return true;
    }
    return false;
  }
}

const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

function within(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`;
}

export function conflict({ origin }: { origin: string }, why: string): BladerootError {
  return new BladerootError('OVERLAY_CONFLICT', `${origin}: ${why}`, {
    hint: 'change the overlay, or the image that it is laid over',
  });
}
