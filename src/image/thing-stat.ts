import { lstatSync, type BigIntStats } from 'node:fs';
import type { BytePath } from './byte-path.ts';
import type { TreeRoot } from './tree-root.ts';

export type ThingType = 'file' | 'dir' | 'symlink' | 'char' | 'block' | 'fifo' | 'socket';

/** What lstat(2) says of a thing, in a fifth of the memory of Node's own: there are hundreds of thousands of them. */
export class ThingStat {
  readonly type: ThingType;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  /** Bytes, with holes. */
  readonly size: number;
  /** Whether it has fewer blocks than its size needs. */
  readonly isSparse: boolean;
  readonly dev: number;
  readonly ino: bigint;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  readonly ctime: bigint;
  /** 0 for all but devices. */
  readonly rdev: bigint;

  constructor(stat: BigIntStats) {
    this.type = typeOf(stat);
    this.mode = Number(stat.mode & 0o7777n);
    this.uid = Number(stat.uid);
    this.gid = Number(stat.gid);
    this.nlink = Number(stat.nlink);
    this.size = Number(stat.size);
    this.isSparse = stat.blocks * 512n < stat.size;
    this.dev = Number(stat.dev);
    this.ino = stat.ino;
    this.mtime = stat.mtimeNs;
    this.ctime = stat.ctimeNs;
    this.rdev = stat.rdev;
  }

  /** As `stampOf`. */
  get stamp(): string {
    return `${this.ino}:${this.size}:${this.mtime}:${this.ctime}`;
  }
}

/** What the stamps of many things say, in a fourth of the memory of their text. */
export class StampList {
  readonly #values: BigInt64Array;

  constructor(length: number) {
    this.#values = new BigInt64Array(length * NUMBERS);
  }

  set(place: number, { ino, size, mtime, ctime }: ThingStat): void {
    // In nanoseconds, times that a file system can have are more than fit into 64 bits.
    const times = [mtime / BILLION, mtime % BILLION, ctime / BILLION, ctime % BILLION];
    this.#values.set([ino, BigInt(size), ...times], place * NUMBERS);
  }

  /** As `stampOf`. */
  text(place: number): string {
    return `${BigInt.asUintN(64, this.#at(place, 0))}:${this.#at(place, 1)}:${this.#time(place, 2)}:${this.ctime(place)}`;
  }

  /** Nanoseconds since 1970. */
  ctime(place: number): bigint {
    return this.#time(place, 4);
  }

  #time(place: number, number: number): bigint {
    return this.#at(place, number) * BILLION + this.#at(place, number + 1);
  }

  #at(place: number, number: number): bigint {
    return this.#values[place * NUMBERS + number] ?? 0n;
  }
}

/** Inode, size, and seconds and nanoseconds of mtime and ctime. */
const NUMBERS = 6;

const BILLION = 1_000_000_000n;

/** Looks at what is at a path; a symbolic link is not followed. @throws Error `ENOENT` and the like */
export function lookAt(root: TreeRoot, path: BytePath): ThingStat {
  return new ThingStat(lstatSync(root.bytesAt(path), { bigint: true }));
}

function typeOf(stat: BigIntStats): ThingType {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'dir';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isCharacterDevice()) return 'char';
  if (stat.isBlockDevice()) return 'block';
  return stat.isFIFO() ? 'fifo' : 'socket';
}
