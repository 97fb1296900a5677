/** How a tree that is in use differs from what it was made of. Nothing is written, and times do not count. */
import { readdirSync, readlinkSync } from 'node:fs';
import { setImmediate as breathe } from 'node:timers/promises';
import { decodeDevice, readXattrs } from '../system/posix.ts';
import { fromBytes, parentOf, type BytePath } from './byte-path.ts';
import { ASPECTS, type Aspect, type Change, type Thing, type TreeDifference } from './diff.ts';
import type { HardlinkEntry, ManifestEntry } from './manifest.ts';
import { sameXattrs } from './reconcile.ts';
import { lookAt, stampOf, type ThingStat } from './thing-stat.ts';
import { isMissing, TreeRoot } from './tree-root.ts';
import type { ComparedFile } from './unpack-task.ts';
import { UnpackThreads } from './unpack-threads.ts';

export interface DriftOptions {
  /** What may be there or not, and be anything; what is below a directory of these goes with it. */
  isIgnored(path: BytePath, isDirectory: boolean): boolean;
  /** Files whose content is not compared: nobody but their owner can know it. */
  unknown: ReadonlySet<BytePath>;
  signal?: AbortSignal | undefined;
}

type Inode = Exclude<ManifestEntry, HardlinkEntry>;

const THINGS_AT_ONCE = 1000;

/**
 * Compares a directory with entries, reading every file's content. Other file systems mounted below it are not entered.
 * @param entries what it is to be, by path; a hard link after what it is another name of
 */
export async function driftOf(
  directory: string,
  entries: ReadonlyMap<BytePath, ManifestEntry>,
  options: DriftOptions,
): Promise<TreeDifference> {
  const root = new TreeRoot(directory);
  try {
    return await new Comparison(root, inodesOf(entries), options).run();
  } finally {
    root.close();
  }
}

function inodesOf(entries: ReadonlyMap<BytePath, ManifestEntry>): Map<BytePath, Inode> {
  const inodes = new Map<BytePath, Inode>();
  for (const [path, entry] of entries) {
    const inode = entry.type === 'hardlink' ? inodes.get(entry.target) : entry;
    if (inode !== undefined) inodes.set(path, inode);
  }
  return inodes;
}

class Comparison {
  readonly #root: TreeRoot;
  readonly #wanted: ReadonlyMap<BytePath, Inode>;
  readonly #options: DriftOptions;
  readonly #added: Thing[] = [];
  readonly #changed = new Map<BytePath, Change>();
  readonly #seen = new Set<BytePath>();
  readonly #ignored = new Set<BytePath>();
  /** Files that are as long as they should be. */
  readonly #toRead: { path: BytePath; stat: ThingStat; compared: ComparedFile }[] = [];

  constructor(root: TreeRoot, wanted: ReadonlyMap<BytePath, Inode>, options: DriftOptions) {
    this.#root = root;
    this.#wanted = wanted;
    this.#options = options;
  }

  async run(): Promise<TreeDifference> {
    await this.#walk();
    await this.#read();
    return {
      added: this.#added.sort(byPath),
      removed: this.#removed().sort(byPath),
      changed: [...this.#changed.values()].sort((a, b) => byPath(a.after, b.after)),
    };
  }

  async #walk(): Promise<void> {
    const first = lookAt(this.#root, '');
    const directories: BytePath[] = [''];
    this.#seen.add('');
    for (let path = directories.pop(); path !== undefined; path = directories.pop()) {
      for (const name of readdirSync(this.#root.bytesAt(path), 'latin1')) {
        const below = path === '' ? name : `${path}/${name}`;
        const stat = this.#lookAt(below);
        if (stat === undefined) continue;
        if (this.#seen.size % THINGS_AT_ONCE === 0) await this.#pause();
        if (this.#options.isIgnored(below, stat.type === 'dir')) {
          this.#ignored.add(below);
          continue;
        }
        this.#seen.add(below);
        const isNew = !this.#compare(below, stat);
        if (stat.type === 'dir' && stat.dev === first.dev && !isNew) directories.push(below);
      }
    }
  }

  /** What goes away while it is looked at was nothing to last. */
  #lookAt(path: BytePath): ThingStat | undefined {
    try {
      return lookAt(this.#root, path);
    } catch (error) {
      if (!isMissing(error)) throw error;
      return undefined;
    }
  }

  /** @returns whether there is to be anything */
  #compare(path: BytePath, stat: ThingStat): boolean {
    const entry = this.#wanted.get(path);
    if (entry === undefined) {
      // A socket means something only to the process that made it.
      if (stat.type !== 'socket') this.#added.push(thingOf(path, stat));
      return false;
    }
    if (!this.#isAlike(path, stat, entry)) {
      this.#change(path, stat, entry, ['content']);
      return true;
    }
    if (entry.type === 'file' && entry.size > 0 && !this.#options.unknown.has(path)) {
      const file = { path: this.#root.at(path), stamp: stampOf(stat), size: entry.size };
      const { extents, objects } = entry;
      this.#toRead.push({ path, stat, compared: { file, extents, objects } });
    }
    this.#change(path, stat, entry, []);
    return true;
  }

  /** All of the content that can be told without reading files. */
  #isAlike(path: BytePath, stat: ThingStat, entry: Inode): boolean {
    if (stat.type !== entry.type) return false;
    switch (entry.type) {
      case 'symlink':
        return fromBytes(readlinkSync(this.#root.bytesAt(path), 'buffer')) === entry.target;
      case 'char':
      case 'block': {
        const { major, minor } = decodeDevice(stat.rdev);
        return major === entry.major && minor === entry.minor;
      }
      case 'file':
        return stat.size === entry.size || this.#options.unknown.has(path);
      default:
        return true;
    }
  }

  #change(path: BytePath, stat: ThingStat, entry: Inode, found: readonly Aspect[]): void {
    const isLink = entry.type === 'symlink';
    const other = {
      mode: !isLink && stat.type === entry.type && stat.mode !== entry.mode,
      owner: stat.uid !== entry.uid || stat.gid !== entry.gid,
      xattrs: !sameXattrs(readXattrs(this.#root.at(path)), entry.xattrs),
    };
    const aspects = ASPECTS.filter(
      (aspect) => found.includes(aspect) || (aspect in other && other[aspect as keyof typeof other]),
    );
    if (aspects.length === 0) return;
    const before = { path, type: entry.type, size: entry.type === 'file' ? entry.size : 0 };
    this.#changed.set(path, { before, after: thingOf(path, stat), aspects });
  }

  async #read(): Promise<void> {
    const threads = new UnpackThreads();
    const { signal } = this.#options;
    const abort = (): void => void threads.close();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      const same = await threads.compare(this.#toRead.map(({ compared }) => compared));
      for (const [i, { path, stat }] of this.#toRead.entries()) {
        const entry = this.#wanted.get(path);
        if (same[i] !== true && entry !== undefined) this.#change(path, stat, entry, ['content']);
      }
    } finally {
      signal?.removeEventListener('abort', abort);
      await threads.close();
      signal?.throwIfAborted();
    }
  }

  /** The topmost of what is gone: what was in a directory that is gone is gone with it. */
  #removed(): Thing[] {
    const removed: Thing[] = [];
    for (const [path, entry] of this.#wanted) {
      const isGone = !this.#seen.has(path) && this.#seen.has(parentOf(path));
      if (!isGone || this.#ignored.has(path) || this.#options.isIgnored(path, entry.type === 'dir')) continue;
      removed.push({ path, type: entry.type, size: entry.type === 'file' ? entry.size : 0 });
    }
    return removed;
  }

  async #pause(): Promise<void> {
    await breathe();
    this.#options.signal?.throwIfAborted();
  }
}

function thingOf(path: BytePath, { type, size }: ThingStat): Thing {
  return { path, type: type === 'socket' ? 'fifo' : type, size: type === 'file' ? size : 0 };
}

function byPath(a: { path: BytePath }, b: { path: BytePath }): number {
  return a.path < b.path ? -1 : 1;
}
