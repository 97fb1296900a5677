/** Entries of a manifest as the threads that write them want them. */
import type { FileEntry, ManifestEntry, Metadata } from './manifest.ts';
import { parentOf } from './byte-path.ts';
import { parseTime } from './tree-entries.ts';
import type { TreeRoot } from './tree-root.ts';
import type { Attributes, FileTarget, SmallThing } from './unpack-task.ts';

/** @param aside the name, in the same directory, under which the file is written before it takes another's place */
export function fileTarget(root: TreeRoot, entry: FileEntry, aside: string | undefined): FileTarget {
  const { path, size, extents } = entry;
  const parent = parentOf(path);
  const written = aside === undefined ? path : `${parent === '' ? '' : `${parent}/`}${aside}`;
  return {
    path: root.at(written),
    finalPath: aside === undefined ? undefined : root.at(path),
    size,
    extents,
    attributes: attributesOf(entry),
  };
}

/** What it takes to make an entry that has no content; nothing for others. */
export function smallThings(root: TreeRoot, entry: ManifestEntry): SmallThing[] {
  const path = root.at(entry.path);
  switch (entry.type) {
    case 'file':
      return entry.objects.length > 0 ? [] : [{ type: 'empty', file: fileTarget(root, entry, undefined) }];
    case 'symlink':
      return [{ type: 'symlink', path, target: entry.target, attributes: attributesOf(entry) }];
    case 'fifo':
      return [{ type: 'fifo', path, major: 0, minor: 0, attributes: attributesOf(entry) }];
    case 'char':
    case 'block': {
      const { type, major, minor } = entry;
      return [{ type, path, major, minor, attributes: attributesOf(entry) }];
    }
    default:
      return [];
  }
}

/** What it takes to make a hard link; nothing for others. */
export function hardlinks(root: TreeRoot, entry: ManifestEntry): SmallThing[] {
  if (entry.type !== 'hardlink') return [];
  return [{ type: 'hardlink', path: root.at(entry.path), target: root.at(entry.target) }];
}

/** What gives a thing that is there what it has but its content. */
export function attributeThings(root: TreeRoot, entry: ManifestEntry): SmallThing[] {
  if (entry.type === 'hardlink') return [];
  const isLink = entry.type === 'symlink';
  return [{ type: 'attributes', path: root.at(entry.path), isLink, attributes: attributesOf(entry) }];
}

function attributesOf({ mode, uid, gid, mtime, xattrs }: Metadata): Attributes {
  return { mode, uid, gid, mtime: parseTime(mtime), xattrs: xattrs.size === 0 ? undefined : xattrs };
}
