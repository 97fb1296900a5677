/** What a walk saw as entries of a manifest: all that is known without reading files' contents. */
import { readlinkSync } from 'node:fs';
import type { Layer } from '../store/pack-index.ts';
import { decodeDevice, readXattrs } from '../system/posix.ts';
import { fromBytes, type BytePath } from './byte-path.ts';
import { LEFTOVERS } from './leftovers.ts';
import type { FileEntry, ManifestEntry, Metadata } from './manifest.ts';
import type { ThingStat } from './thing-stat.ts';
import type { TreeRoot } from './tree-root.ts';
import type { WalkedThing } from './walk.ts';

/** A file whose content has to be read before its entry is whole. */
export type UnreadFile = Omit<FileEntry, 'objects' | 'extents'>;

export type TreeEntry = { entry: ManifestEntry } | { unread: UnreadFile };

/** The names of what has several: the first of them has the content, the others are hard links to it. */
export interface LinkGroup {
  first: BytePath;
  /** `run` when any of the names is of it. */
  layer: Layer;
}

/** @param things in the order of their paths */
export function linkGroups(things: Iterable<WalkedThing>): Map<string, LinkGroup> {
  const groups = new Map<string, LinkGroup>();
  for (const { path, layer, stat } of things) {
    if (!isLinked(stat)) continue;
    const group = groups.get(inodeOf(stat));
    if (group === undefined) groups.set(inodeOf(stat), { first: path, layer });
    else if (layer === 'run') group.layer = 'run';
  }
  return groups;
}

/** The group that a thing belongs to, if it has several names. */
export function groupOf(stat: ThingStat, groups: ReadonlyMap<string, LinkGroup>): LinkGroup | undefined {
  return isLinked(stat) ? groups.get(inodeOf(stat)) : undefined;
}

function isLinked({ nlink, type }: ThingStat): boolean {
  return nlink > 1 && type !== 'dir';
}

export function inodeOf({ dev, ino }: ThingStat): string {
  return `${dev}:${ino}`;
}

/** The entry of a thing, or what is needed to make it. */
export function entryOf(
  root: TreeRoot,
  { path, layer, stat }: WalkedThing,
  groups: ReadonlyMap<string, LinkGroup>,
): TreeEntry {
  const group = groupOf(stat, groups);
  if (group !== undefined && group.first !== path) {
    return { entry: { path, layer, type: 'hardlink', target: group.first } };
  }
  if (stat.type === 'file') return fileEntry(root, { path, layer, stat });
  const common = { path, layer, ...metadataOf(stat), xattrs: readXattrs(root.at(path)) };
  switch (stat.type) {
    case 'symlink': {
      const target = fromBytes(readlinkSync(root.bytesAt(path), 'buffer'));
      return { entry: { ...common, type: 'symlink', target } };
    }
    case 'char':
    case 'block':
      return { entry: { ...common, type: stat.type, ...decodeDevice(stat.rdev) } };
    case 'dir':
    case 'fifo':
      return { entry: { ...common, type: stat.type } };
    case 'socket':
      throw new Error('sockets are left out');
  }
}

function fileEntry(root: TreeRoot, { path, layer, stat }: WalkedThing): TreeEntry {
  const common = { path, layer, type: 'file', ...metadataOf(stat) } as const;
  const size = path === LEFTOVERS.emptied ? 0 : stat.size;
  if (size === 0) {
    return { entry: { ...common, xattrs: readXattrs(root.at(path)), size, objects: [], extents: undefined } };
  }
  return { unread: { ...common, size, xattrs: NO_XATTRS } };
}

const NO_XATTRS: Metadata['xattrs'] = new Map();

function metadataOf({ mode, uid, gid, mtime }: ThingStat): Omit<Metadata, 'xattrs'> {
  return { mode, uid, gid, mtime: formatTime(mtime) };
}

const BILLION = 1_000_000_000n;

/** Nanoseconds since 1970 as a manifest has them: decimal seconds without trailing zeros, such as `-1.5`. */
export function formatTime(nanoseconds: bigint): string {
  const absolute = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  const fraction = String(absolute % BILLION)
    .padStart(9, '0')
    .replace(/0+$/, '');
  const seconds = `${nanoseconds < 0n ? '-' : ''}${absolute / BILLION}`;
  return fraction === '' ? seconds : `${seconds}.${fraction}`;
}

/** The inverse of `formatTime`. */
export function parseTime(text: string): bigint {
  const [whole = '0', fraction = ''] = text.replace('-', '').split('.');
  const absolute = BigInt(whole) * BILLION + BigInt(fraction.padEnd(9, '0'));
  return text.startsWith('-') ? -absolute : absolute;
}
