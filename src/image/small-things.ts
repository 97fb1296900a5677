import { chmodSync, lchownSync, linkSync, symlinkSync } from 'node:fs';
import { makeNode, readXattrs, removeXattr, setMtime, setXattr } from '../system/posix.ts';
import { naming } from './unpack-failed.ts';
import type { Attributes, SmallThing } from './unpack-task.ts';
import { bytesOf, finish, openNew } from './written-file.ts';

/** Makes what has no content, or gives attributes to what is there. */
export function makeThing(thing: SmallThing): void {
  if (thing.type === 'empty') {
    naming(thing.file.path, () => finish(thing.file, openNew(thing.file.path)));
    return;
  }
  naming(thing.path, () => {
    switch (thing.type) {
      case 'hardlink':
        linkSync(bytesOf(thing.target), bytesOf(thing.path));
        return;
      case 'symlink':
        symlinkSync(bytesOf(thing.target), bytesOf(thing.path));
        setAttributes(thing.path, true, thing.attributes);
        return;
      case 'attributes':
        setAttributes(thing.path, thing.isLink, thing.attributes);
        return;
      default:
        makeNode(thing.path, thing.type, thing.major, thing.minor);
        setAttributes(thing.path, false, thing.attributes);
    }
  });
}

/** All that a thing has but its content; what it inherited from its directory is taken from it. */
function setAttributes(path: string, isLink: boolean, { uid, gid, mode, xattrs, mtime }: Attributes): void {
  lchownSync(bytesOf(path), uid, gid);
  if (!isLink) chmodSync(bytesOf(path), mode);
  for (const name of readXattrs(path).keys()) if (xattrs?.has(name) !== true) removeXattr(path, name);
  for (const [name, value] of xattrs ?? []) setXattr(path, name, value);
  setMtime(path, mtime);
}
