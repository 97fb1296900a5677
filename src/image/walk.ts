import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { setImmediate as breathe } from 'node:timers/promises';
import { BladerootError } from '../errors.ts';
import type { Digest } from '../store/digest.ts';
import type { Layer } from '../store/pack-index.ts';
import { display, fromBytes, toBytes, type BytePath } from './byte-path.ts';
import type { LayerRules, ThingKind } from './layers.ts';
import { lookAt, StatList, type ThingStat } from './thing-stat.ts';
import { isMissing, type TreeRoot } from './tree-root.ts';

/** A thing in a tree, as lstat saw it. */
export interface WalkedThing {
  path: BytePath;
  layer: Layer;
  stat: ThingStat;
}

/** All that belongs to the image of a tree, in the order of the paths' bytes. */
export class WalkedTree {
  readonly #paths: BytePath[];
  /** Of all that was seen, but for when it was read; of a tree in which nothing has changed it is the same again. */
  readonly digest: Digest;
  readonly #layers: readonly Layer[];
  readonly #stats: StatList;
  /** Of each path, its place in the order in which things were found. */
  readonly #found: Uint32Array;

  /** @param paths in the order in which they were found, as are the others */
  constructor(paths: readonly BytePath[], layers: readonly Layer[], stats: StatList) {
    const at = (place: number): BytePath => paths[place] ?? '';
    this.digest = digestOf(paths, layers, stats);
    this.#found = Uint32Array.from(paths.keys()).sort((a, b) => (at(a) < at(b) ? -1 : 1));
    this.#paths = Array.from(this.#found, at);
    this.#layers = layers;
    this.#stats = stats;
  }

  get paths(): readonly BytePath[] {
    return this.#paths;
  }

  /** Has a thing's path be the same string as an equal one that is in memory anyway. */
  sharePath(place: number, path: BytePath): void {
    if (this.#paths[place] === path) this.#paths[place] = path;
  }

  *[Symbol.iterator](): Generator<WalkedThing> {
    for (const place of this.#paths.keys()) yield this.at(place);
  }

  /** @param place in the order of the paths, as everywhere */
  at(place: number): WalkedThing {
    const found = this.#placeFound(place);
    return {
      path: this.#paths[place] ?? '',
      layer: this.#layers[found] ?? 'run',
      stat: this.#stats.at(found),
    };
  }

  ctime(place: number): bigint {
    return this.#stats.ctime(this.#placeFound(place));
  }

  stamp(place: number): Uint32Array {
    return this.#stats.stamp(this.#placeFound(place));
  }

  #placeFound(place: number): number {
    return this.#found[place] ?? 0;
  }
}

function digestOf(paths: readonly BytePath[], layers: readonly Layer[], stats: StatList): Digest {
  const sum = createHash('sha256');
  for (let i = 0; i < paths.length; i += HASHED_AT_ONCE) {
    const end = i + HASHED_AT_ONCE;
    sum.update(`${[...paths.slice(i, end), ...layers.slice(i, end)].join('\0')}\0`, 'latin1');
  }
  for (const part of stats.data.parts) sum.update(part);
  return sum.digest('hex');
}

const HASHED_AT_ONCE = 4096;

export interface WalkOptions {
  signal?: AbortSignal | undefined;
  /** Called for what is left out and might be missed. */
  onNote?: ((note: string) => void) | undefined;
  /** Called for what vanishes meanwhile, and is left out; where it is not given, that is an error. */
  onVanished?: ((path: BytePath) => void) | undefined;
}

/** What may be entered of a tree, and what of it belongs to the image. */
export interface WalkBounds {
  rules: LayerRules;
  /** Where something is mounted. */
  mounts: ReadonlySet<BytePath>;
}

/** Blocking calls are cheaper than asynchronous ones; after as many, Ctrl-C and progress get their turn. */
const THINGS_AT_ONCE = 2000;

/**
 * Looks at all that belongs to the image of a tree. File systems mounted below it are not entered; sockets, which only mean something to the process that made them, and leftovers are left out.
 * @throws BladerootError `TREE_CHANGED` when something vanishes meanwhile, unless that is to be called
 */
export async function walkTree(
  root: TreeRoot,
  { rules, mounts }: WalkBounds,
  options: WalkOptions = {},
): Promise<WalkedTree> {
  const look = <T>(path: BytePath, call: () => T): T | undefined => ifThere(path, call, options.onVanished);
  const first = lookAt(root, '');
  const [paths, layers, stats]: [BytePath[], Layer[], StatList] = [[''], ['run'], new StatList()];
  stats.add(first);
  const directories: { path: BytePath; layer: Layer }[] = [{ path: '', layer: 'run' }];
  let counted = 0;
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    const { path: above, layer: layerAbove } = directory;
    for (const name of look(above, () => readdirSync(root.bytesAt(above), 'latin1')) ?? []) {
      const path = inOnePiece(above === '' ? name : `${above}/${name}`);
      const stat = look(path, () => lookAt(root, path));
      if (stat === undefined) continue;
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
      const layer = rules.layerOf(path, kind, layerAbove);
      paths.push(path);
      layers.push(layer);
      stats.add(stat);
      // A subvolume of btrfs has a device of its own and is no mount; what is mounted with --bind may have the same.
      const isElsewhere = stat.dev !== first.dev || mounts.has(path);
      if (kind === 'dir' && !isElsewhere && !rules.isEmptied(path)) directories.push({ path, layer });
    }
  }
  return new WalkedTree(paths, layers, stats);
}

/** V8 keeps a text that was put together as its parts, which takes thrice the memory. */
function inOnePiece(path: BytePath): BytePath {
  return fromBytes(toBytes(path));
}

function kindOf({ type }: ThingStat): ThingKind {
  return type === 'dir' || type === 'file' ? type : 'other';
}

function ifThere<T>(
  path: BytePath,
  call: () => T,
  onVanished: ((path: BytePath) => void) | undefined,
): T | undefined {
  try {
    return call();
  } catch (error) {
    if (!isMissing(error)) throw error;
    if (onVanished === undefined) {
      throw new BladerootError('TREE_CHANGED', `${display(path)} vanished while the tree was being packed`, {
        hint: 'nothing may change a tree while it is being packed; --live packs it as it is found',
        cause: error,
      });
    }
    onVanished(path);
    return undefined;
  }
}
