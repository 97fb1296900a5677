/**
 * What has to be done to make a directory a snapshot: what is there is looked at, what is not in the snapshot is removed,
 * and what differs is named. Size, times, owner, mode and xattrs decide; contents are read only where the times differ.
 */
import { readdirSync, readlinkSync, rmdirSync, unlinkSync } from 'node:fs';
import { setImmediate as breathe } from 'node:timers/promises';
import { decodeDevice, readXattrs } from '../system/posix.ts';
import { fromBytes, parentOf, type BytePath } from './byte-path.ts';
import { LOST_AND_FOUND, SeenThings, type Looked } from './looked-around.ts';
import type { FileEntry, HardlinkEntry, ManifestEntry, Metadata } from './manifest.ts';
import { patternMatcher } from './layers.ts';
import { inodeOf, parseTime } from './tree-entries.ts';
import { lookAt, stampOf, type ThingStat } from './thing-stat.ts';
import type { TreeRoot } from './tree-root.ts';
import { naming } from './unpack-failed.ts';
import type { ComparedFile } from './unpack-task.ts';

export interface ReconcileOptions {
  /** Patterns (gitignore) of what stays although it is not in the snapshot. */
  keep?: readonly string[] | undefined;
  /** Reads the content of every file whose size is right, instead of trusting its time. */
  checksum?: boolean | undefined;
  signal?: AbortSignal | undefined;
  /** Where something is mounted below the directory. */
  mounts: ReadonlySet<BytePath>;
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

/**
 * @param looked what is in the directory
 * @param entries what it is to be, in the order of their paths
 */
export async function reconcile(
  root: TreeRoot,
  looked: Looked,
  entries: readonly ManifestEntry[],
  options: ReconcileOptions,
): Promise<Differences> {
  options.signal?.throwIfAborted();
  const wanted = new Map(entries.map((entry) => [entry.path, entry]));
  const there = await lookElsewhere(root, looked, wanted, options);
  const removedFrom = await removeOthers(root, there, wanted, options);
  return { ...(await compareAll(root, there, entries, wanted, options)), removedFrom };
}

interface Surroundings {
  /** All that is there, as far as it was entered. */
  things: SeenThings;
  /** Of other file systems, mounted below the directory: nothing of them is removed. */
  elsewhere: ReadonlySet<BytePath>;
  /** Where something is mounted and the snapshot has nothing below, such as in /proc: no business of the snapshot's. */
  foreign: ReadonlySet<BytePath>;
}

/** Looks at what is mounted below the directory, where the snapshot has something to put there. */
async function lookElsewhere(
  root: TreeRoot,
  looked: Looked,
  wanted: ReadonlyMap<BytePath, ManifestEntry>,
  { mounts, signal }: ReconcileOptions,
): Promise<Surroundings> {
  const things = new SeenThings(looked);
  const [elsewhere, foreign] = [new Set<BytePath>(), new Set<BytePath>()];
  const withContent = new Set(looked.left.length === 0 ? [] : Array.from(wanted.keys(), parentOf));
  const device = things.get('')?.dev;
  let counted = 0;
  const left = looked.left.slice();
  for (let path = left.pop(); path !== undefined; path = left.pop()) {
    // Of the file system that is mounted there, not of the tree.
    if (path === LOST_AND_FOUND && !wanted.has(path)) continue;
    if (counted++ % THINGS_AT_ONCE === 0) await pause(signal);
    const stat = lookAt(root, path);
    things.add(path, stat);
    const isBelowElsewhere = elsewhere.has(parentOf(path));
    const isElsewhere = stat.dev !== device || isBelowElsewhere || mounts.has(path);
    const isEntered = stat.type === 'dir' && (!isElsewhere || withContent.has(path));
    if (isElsewhere) elsewhere.add(path);
    if (isElsewhere && !isEntered && !isBelowElsewhere) foreign.add(path);
    if (!isEntered) continue;
    const names = readdirSync(root.bytesAt(path), 'latin1');
    left.push(...names.map((name) => `${path}/${name}`));
  }
  return { things, elsewhere, foreign };
}

async function pause(signal: AbortSignal | undefined): Promise<void> {
  await breathe();
  signal?.throwIfAborted();
}

/** Removes what is not wanted, or is of another kind; what is kept keeps the directories that it is in. */
async function removeOthers(
  root: TreeRoot,
  { things, elsewhere, foreign }: Surroundings,
  wanted: ReadonlyMap<BytePath, ManifestEntry>,
  options: ReconcileOptions,
): Promise<Set<BytePath>> {
  const isKept = patternMatcher(options.keep ?? []);
  const staying = new Set<BytePath>();
  const removedFrom = new Set<BytePath>();
  let looked = 0;
  for (const path of things.deepestFirst()) {
    const stat = things.get(path);
    if (looked++ % THINGS_AT_ONCE === 0) await pause(options.signal);
    if (stat === undefined || path === '') continue;
    const entry = wanted.get(path);
    const stays =
      entry === undefined
        ? elsewhere.has(path) || staying.has(path) || isKept(path, stat.type === 'dir')
        : foreign.has(path) || isOfKind(stat, entry, wanted);
    if (stays) {
      staying.add(parentOf(path));
      continue;
    }
    remove(root, path, stat);
    things.delete(path);
    removedFrom.add(parentOf(path));
  }
  return removedFrom;
}

function remove(root: TreeRoot, path: BytePath, stat: ThingStat): void {
  const bytes = root.bytesAt(path);
  naming(root.at(path), () => (stat.type === 'dir' ? rmdirSync(bytes) : unlinkSync(bytes)), 'removed');
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
  { things: there, foreign }: Surroundings,
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
    if (!hasAttributes(root, entry, stat, there)) attributes.push(entry);
  };
  const replace = (entry: ManifestEntry, stat: ThingStat): void => {
    missing.push(entry);
    // A file stays until the new one takes its name; what has no content is made in no time.
    if (entry.type === 'file' && entry.objects.length > 0) replaced.add(entry.path);
    else remove(root, entry.path, stat);
  };
  for (const [i, entry] of entries.entries()) {
    if (i % THINGS_AT_ONCE === 0) await pause(options.signal);
    const stat = there.get(entry.path);
    if (entry.type === 'hardlink' || foreign.has(entry.path)) continue;
    if (stat === undefined) missing.push(entry);
    else if (entry.type === 'dir') accept(entry, stat);
    else if (!isAlone(entry.path, stat)) replace(entry, stat);
    else if (entry.type === 'symlink') {
      if (fromBytes(readlinkSync(root.bytesAt(entry.path), 'buffer')) === entry.target) accept(entry, stat);
      else replace(entry, stat);
    } else if (entry.type !== 'file') accept(entry, stat);
    else if (stat.size !== entry.size) replace(entry, stat);
    else if (options.checksum !== true && stat.mtime === parseTime(entry.mtime)) accept(entry, stat);
    else {
      const file = { path: root.at(entry.path), stamp: stampOf(stat), size: entry.size };
      doubtful.push({ entry, compared: { file, extents: entry.extents, objects: entry.objects } });
    }
  }
  const same = await options.compare(doubtful.map(({ compared }) => compared));
  for (const [i, { entry }] of doubtful.entries()) {
    const stat = there.get(entry.path);
    if (stat === undefined) continue;
    if (same[i] === true) accept(entry, stat);
    else replace(entry, stat);
  }
  for (const entry of entries) {
    if (entry.type !== 'hardlink' || foreign.has(entry.path)) continue;
    const [stat, target] = [there.get(entry.path), there.get(entry.target)];
    if (stat === undefined) missing.push(entry);
    else if (!right.has(entry.target) || target === undefined || inodeOf(stat) !== inodeOf(target)) {
      replace(entry, stat);
    }
  }
  return { missing, attributes, replaced };
}

/**
 * Whether an inode has no other names than it is to have: what is written to it, or said about it, would show under them
 * as well, in the tree or outside of it.
 */
function linkCheck(
  there: SeenThings,
  wanted: ReadonlyMap<BytePath, ManifestEntry>,
): (path: BytePath, stat: ThingStat) => boolean {
  const names = new Map<string, BytePath[]>();
  for (const [path, stat] of there.linked()) {
    const known = names.get(inodeOf(stat));
    if (known === undefined) names.set(inodeOf(stat), [path]);
    else known.push(path);
  }
  return (path, stat) => {
    if (stat.nlink === 1) return true;
    const all = names.get(inodeOf(stat)) ?? [];
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
  things: SeenThings,
): boolean {
  return (
    // A link's own mode means nothing on Linux, and cannot be set.
    (entry.type === 'symlink' || stat.mode === entry.mode) &&
    stat.uid === entry.uid &&
    stat.gid === entry.gid &&
    stat.mtime === parseTime(entry.mtime) &&
    sameXattrs(things.mayHaveXattrs(entry.path) ? readXattrs(root.at(entry.path)) : NONE, entry.xattrs)
  );
}

const NONE: Metadata['xattrs'] = new Map();

export function sameXattrs(one: Metadata['xattrs'], other: Metadata['xattrs']): boolean {
  if (one.size !== other.size) return false;
  for (const [name, value] of one) if (other.get(name)?.equals(value) !== true) return false;
  return true;
}
