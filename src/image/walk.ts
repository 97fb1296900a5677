import { readdirSync } from 'node:fs';
import { setImmediate as breathe } from 'node:timers/promises';
import { BladerootError, errorCode } from '../errors.ts';
import type { Layer } from '../store/pack-index.ts';
import { display, type BytePath } from './byte-path.ts';
import type { LayerRules, ThingKind } from './layers.ts';
import { lookAt, type ThingStat } from './thing-stat.ts';
import type { TreeRoot } from './tree-root.ts';

/** A thing in a tree, as lstat saw it. */
export interface WalkedThing {
  path: BytePath;
  layer: Layer;
  stat: ThingStat;
}

export interface WalkOptions {
  signal?: AbortSignal | undefined;
  /** Called for what is left out and might be missed. */
  onNote?: ((note: string) => void) | undefined;
}

/** Blocking calls are cheaper than asynchronous ones; after as many, Ctrl-C and progress get their turn. */
const THINGS_AT_ONCE = 2000;

/**
 * All that belongs to the image of a tree, in the order of the paths' bytes. File systems mounted below it are not
 * entered; sockets, which only mean something to the process that made them, and leftovers are left out.
 * @throws BladerootError `TREE_CHANGED` when something vanishes meanwhile
 */
export async function walkTree(
  root: TreeRoot,
  rules: LayerRules,
  options: WalkOptions = {},
): Promise<WalkedThing[]> {
  const first: WalkedThing = { path: '', layer: 'run', stat: statOf(root, '') };
  const things = [first];
  const directories = [first];
  let counted = 0;
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    for (const name of namesIn(root, directory.path)) {
      const path = directory.path === '' ? name : `${directory.path}/${name}`;
      const stat = statOf(root, path);
      if (counted++ % THINGS_AT_ONCE === 0) {
        await breathe();
        options.signal?.throwIfAborted();
      }
      const kind = kindOf(stat);
      if (rules.isExcluded(path, kind)) continue;
      if (stat.type === 'socket') {
        options.onNote?.(`${display(path)} is a socket, and left out`);
        continue;
      }
      const thing = { path, layer: rules.layerOf(path, kind, directory.layer), stat };
      things.push(thing);
      if (kind === 'dir' && stat.dev === first.stat.dev && !rules.isEmptied(path)) directories.push(thing);
    }
  }
  return things.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function kindOf({ type }: ThingStat): ThingKind {
  return type === 'dir' || type === 'file' ? type : 'other';
}

function namesIn(root: TreeRoot, path: BytePath): string[] {
  try {
    return readdirSync(root.bytesAt(path), 'latin1');
  } catch (error) {
    throw vanished(path, error);
  }
}

function statOf(root: TreeRoot, path: BytePath): ThingStat {
  try {
    return lookAt(root, path);
  } catch (error) {
    throw vanished(path, error);
  }
}

function vanished(path: BytePath, cause: unknown): unknown {
  if (errorCode(cause) !== 'ENOENT' && errorCode(cause) !== 'ENOTDIR') return cause;
  return new BladerootError('TREE_CHANGED', `${display(path)} vanished while the tree was being packed`, {
    hint: 'nothing may change a tree while it is being packed; --live packs it as it is found',
    cause,
  });
}
