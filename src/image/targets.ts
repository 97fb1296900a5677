/** Entries of a manifest as the threads that write them want them. */
import type { FileEntry, Metadata } from './manifest.ts';
import { parentOf } from './byte-path.ts';
import { parseTime } from './tree-entries.ts';
import type { TreeRoot } from './tree-root.ts';
import type { Attributes, FileTarget } from './unpack-worker.ts';

export function attributesOf({ mode, uid, gid, mtime, xattrs }: Metadata): Attributes {
  return { mode, uid, gid, mtime: parseTime(mtime), xattrs: xattrs.size === 0 ? undefined : xattrs };
}

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
