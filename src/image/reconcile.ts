/**
 * What has to be done to make a directory a snapshot: what is there is looked at, what is not in the snapshot is removed,
 * and what differs is named. Size, times, owner, mode and xattrs decide; contents are read only where the times differ.
 */
import { readdirSync, readlinkSync, rmdirSync, unlinkSync } from 'node:fs';
import { setImmediate as breathe } from 'node:timers/promises';
import { decodeDevice, readXattrs } from '../system/posix.ts';
import { fromBytes, parentOf, type BytePath } from './byte-path.ts';
import type { FileEntry, HardlinkEntry, ManifestEntry, Metadata } from './manifest.ts';
import { patternMatcher } from './layers.ts';
import { parseTime } from './tree-entries.ts';
import { lookAt, type ThingStat } from './thing-stat.ts';
import type { TreeRoot } from './tree-root.ts';
import type { ComparedFile } from './unpack-worker.ts';

export interface ReconcileOptions {
  /** Patterns (gitignore) of what stays although it is not in the snapshot. */
  keep?: readonly string[] | undefined;
  /** Reads the content of every file whose size is right, instead of trusting its time. */
  checksum?: boolean | undefined;
  signal?: AbortSignal | undefined;
  /** Whether the data of files that are there is what it is to be. */
  compare(files: readonly ComparedFile[]): Promise<boolean[]>;
}

export interface Differences {
  /** To be made; nothing is there, but for the files in `replaced`. */
  missing: ManifestEntry[];
  /** Of those that are missing: files in whose place another is, which stays until the new one is complete. */
  replaced: ReadonlySet<BytePath>;
  /** There, and right but for owner, mode, times or xattrs. */
  attributes: Exclude<ManifestEntry, HardlinkEntry>[];
  /** Directories from which something was removed, by their paths. */
  removedFrom: ReadonlySet<BytePath>;
}

const THINGS_AT_ONCE = 1000;

/** @param entries what the directory is to be, in the order of their paths */
export async function reconcile(
  root: TreeRoot,
  entries: readonly ManifestEntry[],
  options: ReconcileOptions,
): Promise<Differences> {
  const there = await lookAround(root, options.signal);
  const wanted = new Map(entries.map((entry) => [entry.path, entry]));
  const removedFrom = await removeOthers(root, there, wanted, options);
  return { ...(await compareAll(root, there, entries, wanted, options)), removedFrom };
}

/** All that is in a directory; file systems mounted below are not entered. */
async function lookAround(
  root: TreeRoot,
  signal: AbortSignal | undefined,
): Promise<Map<BytePath, ThingStat>> {
  const there = new Map<BytePath, ThingStat>();
  const top = lookAt(root, '');
  const directories: BytePath[] = [''];
  there.set('', top);
  for (let path = directories.pop(); path !== undefined; path = directories.pop()) {
    for (const name of readdirSync(root.bytesAt(path), 'latin1')) {
      const below = path === '' ? name : `${path}/${name}`;
      // Of the file system that is mounted there, not of the tree.
      if (below === 'lost+found') continue;
      const stat = lookAt(root, below);
      there.set(below, stat);
      if (there.size % THINGS_AT_ONCE === 0) await pause(signal);
      if (stat.type === 'dir' && stat.dev === top.dev) directories.push(below);
    }
  }
  return there;
}

async function pause(signal: AbortSignal | undefined): Promise<void> {
  await breathe();
  signal?.throwIfAborted();
}

/** Removes what is not wanted, or is of another kind; what is kept keeps the directories that it is in. */
async function removeOthers(
  root: TreeRoot,
  there: Map<BytePath, ThingStat>,
  wanted: ReadonlyMap<BytePath, ManifestEntry>,
  options: ReconcileOptions,
): Promise<Set<BytePath>> {
  const isKept = patternMatcher(options.keep ?? []);
  const device = there.get('')?.dev;
  const staying = new Set<BytePath>();
  const removedFrom = new Set<BytePath>();
  let looked = 0;
  for (const path of [...there.keys()].sort().reverse()) {
    const stat = there.get(path);
    if (looked++ % THINGS_AT_ONCE === 0) await pause(options.signal);
    if (stat === undefined || path === '') continue;
    const entry = wanted.get(path);
    const isMount = stat.type === 'dir' && stat.dev !== device;
    const stays =
      entry === undefined
        ? isMount || staying.has(path) || isKept(path, stat.type === 'dir')
        : isOfKind(stat, entry, wanted);
    if (stays) {
      staying.add(parentOf(path));
      continue;
    }
    if (stat.type === 'dir') rmdirSync(root.bytesAt(path));
    else unlinkSync(root.bytesAt(path));
    there.delete(path);
    removedFrom.add(parentOf(path));
  }
  return removedFrom;
}

function isOfKind(
  stat: ThingStat,
  entry: ManifestEntry,
  wanted: ReadonlyMap<BytePath, ManifestEntry>,
): boolean {
  switch (entry.type) {
    case 'char':
    case 'block': {
      const { major, minor } = decodeDevice(stat.rdev);
      return stat.type === entry.type && major === entry.major && minor === entry.minor;
    }
    case 'hardlink': {
      const target = wanted.get(entry.target);
      return target !== undefined && target.type !== 'hardlink' && isOfKind(stat, target, wanted);
    }
    default:
      return stat.type === entry.type;
  }
}

async function compareAll(
  root: TreeRoot,
  there: ReadonlyMap<BytePath, ThingStat>,
  entries: readonly ManifestEntry[],
  wanted: ReadonlyMap<BytePath, ManifestEntry>,
  options: ReconcileOptions,
): Promise<Omit<Differences, 'removedFrom'>> {
  const missing: ManifestEntry[] = [];
  const attributes: Differences['attributes'] = [];
  const replaced = new Set<BytePath>();
  const isAlone = linkCheck(there, wanted);
  const doubtful: { entry: FileEntry; compared: ComparedFile }[] = [];
  /** First names of link groups that are as they should be: their other names are compared with them. */
  const right = new Set<BytePath>();

  const accept = (entry: Exclude<ManifestEntry, HardlinkEntry>, stat: ThingStat): void => {
    right.add(entry.path);
    if (!hasAttributes(root, entry, stat)) attributes.push(entry);
  };
  const replace = (entry: ManifestEntry): void => {
    missing.push(entry);
    // A file stays until the new one takes its name; the others are made in no time.
    if (entry.type === 'file') replaced.add(entry.path);
    else unlinkSync(root.bytesAt(entry.path));
  };
  for (const [i, entry] of entries.entries()) {
    if (i % THINGS_AT_ONCE === 0) await pause(options.signal);
    const stat = there.get(entry.path);
    if (entry.type === 'hardlink') continue;
    if (stat === undefined) missing.push(entry);
    else if (entry.type === 'dir') accept(entry, stat);
    else if (!isAlone(entry.path, stat)) replace(entry);
    else if (entry.type === 'symlink') {
      if (fromBytes(readlinkSync(root.bytesAt(entry.path), 'buffer')) === entry.target) accept(entry, stat);
      else replace(entry);
    } else if (entry.type !== 'file') accept(entry, stat);
    else if (stat.size !== entry.size) replace(entry);
    else if (options.checksum !== true && stat.mtime === parseTime(entry.mtime)) accept(entry, stat);
    else {
      const file = { path: root.at(entry.path), stamp: stat.stamp, size: entry.size };
      doubtful.push({ entry, compared: { file, extents: entry.extents, objects: entry.objects } });
    }
  }
  const same = await options.compare(doubtful.map(({ compared }) => compared));
  for (const [i, { entry }] of doubtful.entries()) {
    const stat = there.get(entry.path);
    if (same[i] === true && stat !== undefined) accept(entry, stat);
    else replace(entry);
  }
  for (const entry of entries) {
    if (entry.type !== 'hardlink') continue;
    const stat = there.get(entry.path);
    if (stat === undefined) missing.push(entry);
    else if (!right.has(entry.target) || stat.ino !== there.get(entry.target)?.ino) replace(entry);
  }
  return { missing, attributes, replaced };
}

/**
 * Whether an inode has no other names than it is to have: what is written to it, or said about it, would show under them
 * as well, in the tree or outside of it.
 */
function linkCheck(
  there: ReadonlyMap<BytePath, ThingStat>,
  wanted: ReadonlyMap<BytePath, ManifestEntry>,
): (path: BytePath, stat: ThingStat) => boolean {
  const names = new Map<bigint, BytePath[]>();
  for (const [path, stat] of there) {
    if (stat.nlink < 2 || stat.type === 'dir') continue;
    const known = names.get(stat.ino);
    if (known === undefined) names.set(stat.ino, [path]);
    else known.push(path);
  }
  return (path, stat) => {
    if (stat.nlink === 1) return true;
    const all = names.get(stat.ino) ?? [];
    return (
      all.length === stat.nlink &&
      all.every((name) => {
        const entry = wanted.get(name);
        return name === path || (entry?.type === 'hardlink' && entry.target === path);
      })
    );
  };
}

function hasAttributes(
  root: TreeRoot,
  entry: Metadata & { path: BytePath; type: string },
  stat: ThingStat,
): boolean {
  return (
    // A link's own mode means nothing on Linux, and cannot be set.
    (entry.type === 'symlink' || stat.mode === entry.mode) &&
    stat.uid === entry.uid &&
    stat.gid === entry.gid &&
    stat.mtime === parseTime(entry.mtime) &&
    sameXattrs(readXattrs(root.at(entry.path)), entry.xattrs)
  );
}

function sameXattrs(one: Metadata['xattrs'], other: Metadata['xattrs']): boolean {
  if (one.size !== other.size) return false;
  for (const [name, value] of one) if (other.get(name)?.equals(value) !== true) return false;
  return true;
}
