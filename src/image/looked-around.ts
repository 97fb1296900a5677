/** What is in a directory before it is brought to a snapshot. A thread looks, while others read what it is to be. */
import { readdirSync } from 'node:fs';
import { readXattrs } from '../system/posix.ts';
import { fromBytes, toBytes, type BytePath } from './byte-path.ts';
import { lookAt, StatList, type StatData, type ThingStat } from './thing-stat.ts';
import type { TreeRoot } from './tree-root.ts';

/** All that was seen, as it goes from thread to thread. */
export interface Looked {
  /** Of what was seen, many in each part, with a zero byte between any two; directories come before what is in them. */
  paths: Uint8Array<ArrayBuffer>[];
  stats: StatData;
  /** For each thing, whether it has extended attributes. */
  attributed: Uint8Array<ArrayBuffer>;
  /** What was not looked at: where something else is mounted, and what a file system has for its own repair. */
  left: BytePath[];
}

/** What a file system keeps in its own root, for what e2fsck(8) finds. */
export const LOST_AND_FOUND = 'lost+found';

/**
 * Looks at all that is in a directory and on its file system, with blocking calls.
 * @param mounts where something is mounted, which may be the same file system
 * @param isStopping asked in each directory: whether nobody wants to know any more
 */
export function lookBelow(root: TreeRoot, mounts: ReadonlySet<BytePath>, isStopping: () => boolean): Looked {
  const first = lookAt(root, '');
  const [stats, left]: [StatList, BytePath[]] = [new StatList(), []];
  const attributed: number[] = [];
  const paths: Looked['paths'] = [];
  const part: BytePath[] = [];
  // As strings, all of them would take several times the memory.
  const endPart = (): void => void paths.push(new Uint8Array(toBytes(part.splice(0).join('\0'))));
  const add = (path: BytePath, stat: ThingStat): void => {
    if (part.push(path) === PATHS) endPart();
    stats.add(stat);
    attributed.push(Math.min(1, readXattrs(root.at(path)).size));
  };
  add('', first);
  const directories: BytePath[] = [''];
  for (let path = directories.pop(); path !== undefined && !isStopping(); path = directories.pop()) {
    for (const name of readdirSync(root.bytesAt(path), 'latin1')) {
      const below = path === '' ? name : `${path}/${name}`;
      const stat = lookAt(root, below);
      if (stat.dev !== first.dev || mounts.has(below) || below === LOST_AND_FOUND) {
        left.push(below);
        continue;
      }
      add(below, stat);
      if (stat.type === 'dir') directories.push(below);
    }
  }
  if (part.length > 0) endPart();
  return { paths, stats: stats.data, attributed: Uint8Array.from(attributed), left };
}

/** In a part. */
const PATHS = 4096;

/** Things that are in a directory, by their paths. */
export class SeenThings {
  readonly #paths: BytePath[];
  readonly #stats: StatList;
  readonly #attributed: Uint8Array;
  readonly #places: Map<BytePath, number>;

  constructor({ paths, stats, attributed }: Looked) {
    this.#paths = paths.flatMap((part) => fromBytes(part).split('\0'));
    this.#stats = StatList.from(stats);
    this.#attributed = attributed;
    this.#places = new Map(this.#paths.map((path, place) => [path, place]));
  }

  /** Adds what the thread had left; directories before what is in them. */
  add(path: BytePath, stat: ThingStat): void {
    this.#paths.push(path);
    this.#places.set(path, this.#stats.add(stat));
  }

  get(path: BytePath): ThingStat | undefined {
    const place = this.#places.get(path);
    return place === undefined ? undefined : this.#stats.at(place);
  }

  /** Whether it may have extended attributes. */
  mayHaveXattrs(path: BytePath): boolean {
    return this.#attributed[this.#places.get(path) ?? Infinity] !== 0;
  }

  delete(path: BytePath): void {
    this.#places.delete(path);
  }

  /** All paths that there were at first, what is in a directory before the directory. */
  *deepestFirst(): Generator<BytePath> {
    for (let place = this.#paths.length - 1; place >= 0; place--) {
      const path = this.#paths[place];
      if (path !== undefined) yield path;
    }
  }

  /** What has more names than one, but for directories. */
  *linked(): Generator<[BytePath, ThingStat]> {
    for (const [path, place] of this.#places) {
      if (this.#stats.nlink(place) < 2) continue;
      const stat = this.#stats.at(place);
      if (stat.type !== 'dir') yield [path, stat];
    }
  }
}
