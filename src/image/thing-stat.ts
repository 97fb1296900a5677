import { lstatSync, type BigIntStats } from 'node:fs';
import type { BytePath } from './byte-path.ts';
import type { TreeRoot } from './tree-root.ts';

export type ThingType = 'file' | 'dir' | 'symlink' | 'char' | 'block' | 'fifo' | 'socket';

/** What lstat(2) says of a thing. */
export interface ThingStat {
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
}

/** @param stat of lstat(2) or fstat(2) */
export function thingStat(stat: BigIntStats): ThingStat {
  return {
    type: typeOf(stat),
    mode: Number(stat.mode & 0o7777n),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    nlink: Number(stat.nlink),
    size: Number(stat.size),
    isSparse: stat.blocks * 512n < stat.size,
    dev: Number(stat.dev),
    ino: stat.ino,
    mtime: stat.mtimeNs,
    ctime: stat.ctimeNs,
    rdev: stat.rdev,
  };
}

/** Of a thing in a StatList: 0 to 5 are its stamp, inode, size, and seconds and nanoseconds of mtime and ctime. */
const STAMP_NUMBERS = 6;
const RDEV = 6;
const DEV = 7;
/** Two numbers of 32 bits each: mode and type, and uid; gid, and nlink. */
const MODE_UID = 8;
const GID_NLINK = 9;
const NUMBERS = 10;

/** Things in one of the arrays of a StatList, which grows without being copied. */
const THINGS = 4096;

/** A StatList as it goes from thread to thread. */
export interface StatData {
  parts: BigInt64Array<ArrayBuffer>[];
  length: number;
}

/**
 * What lstat(2) said of many things, in 80 bytes each. As objects they would be a third of all that packing has in memory, and
 * V8 would go through them again and again, looking for what is not needed any more.
 */
export class StatList {
  readonly #parts: { numbers: BigInt64Array<ArrayBuffer>; halves: Uint32Array }[] = [];
  #length = 0;

  /** The list that `data` is of, in another thread. */
  static from({ parts, length }: StatData): StatList {
    const list = new StatList();
    list.#parts.push(...parts.map((numbers) => ({ numbers, halves: new Uint32Array(numbers.buffer) })));
    list.#length = length;
    return list;
  }

  /** For another thread. */
  get data(): StatData {
    return { parts: this.#parts.map(({ numbers }) => numbers), length: this.#length };
  }

  /** @returns the place that it has now */
  add(stat: ThingStat): number {
    const place = this.#length++;
    if (place % THINGS === 0) {
      const numbers = new BigInt64Array(THINGS * NUMBERS);
      this.#parts.push({ numbers, halves: new Uint32Array(numbers.buffer) });
    }
    const { numbers, halves, start } = this.#part(place);
    // In nanoseconds, times that a file system can have are more than fit into 64 bits.
    const times = [stat.mtime / BILLION, stat.mtime % BILLION, stat.ctime / BILLION, stat.ctime % BILLION];
    numbers.set([stat.ino, BigInt(stat.size), ...times, stat.rdev, BigInt(stat.dev)], start);
    const kind = TYPES.indexOf(stat.type) | (stat.isSparse ? SPARSE : 0);
    halves.set([stat.mode | (kind << MODE_BITS), stat.uid], (start + MODE_UID) * 2);
    halves.set([stat.gid, stat.nlink], (start + GID_NLINK) * 2);
    return place;
  }

  at(place: number): ThingStat {
    const { numbers, halves, start } = this.#part(place);
    const number = (index: number): bigint => numbers[start + index] ?? 0n;
    const half = (index: number): number => halves[start * 2 + index] ?? 0;
    const kind = half(MODE_UID * 2) >> MODE_BITS;
    return {
      type: TYPES[kind & ~SPARSE] ?? 'file',
      mode: half(MODE_UID * 2) & ((1 << MODE_BITS) - 1),
      uid: half(MODE_UID * 2 + 1),
      gid: half(GID_NLINK * 2),
      nlink: half(GID_NLINK * 2 + 1),
      size: Number(number(1)),
      isSparse: (kind & SPARSE) !== 0,
      dev: Number(number(DEV)),
      ino: BigInt.asUintN(64, number(0)),
      mtime: number(2) * BILLION + number(3),
      ctime: this.ctime(place),
      rdev: BigInt.asUintN(64, number(RDEV)),
    };
  }

  /** Nanoseconds since 1970. */
  ctime(place: number): bigint {
    const { numbers, start } = this.#part(place);
    return (numbers[start + 4] ?? 0n) * BILLION + (numbers[start + 5] ?? 0n);
  }

  nlink(place: number): number {
    const { halves, start } = this.#part(place);
    return halves[(start + GID_NLINK) * 2 + 1] ?? 0;
  }

  /** Its stamp: twice as many halves as there are numbers in it. */
  stamp(place: number): Uint32Array {
    const { halves, start } = this.#part(place);
    return halves.subarray(start * 2, (start + STAMP_NUMBERS) * 2);
  }

  #part(place: number): { numbers: BigInt64Array; halves: Uint32Array; start: number } {
    const part = this.#parts[Math.floor(place / THINGS)];
    if (part === undefined) throw new Error(`there are no ${place + 1} things`);
    return { ...part, start: (place % THINGS) * NUMBERS };
  }
}

/** Stamps of many things, as they can be kept in a file: 48 bytes each; zeros for one that says nothing. */
export class StampList {
  readonly #halves: Uint32Array;

  private constructor(halves: Uint32Array) {
    this.#halves = halves;
  }

  static ofLength(length: number): StampList {
    return new StampList(new Uint32Array(length * STAMP_NUMBERS * 2));
  }

  /** @param bytes as `bytes` gave them */
  static from(bytes: Uint8Array): StampList {
    const halves = new Uint32Array(Math.floor(bytes.length / 4));
    new Uint8Array(halves.buffer).set(bytes.subarray(0, halves.byteLength));
    return new StampList(halves);
  }

  get length(): number {
    return this.#halves.length / STAMP_NUMBERS / 2;
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.#halves.buffer);
  }

  set(place: number, stamp: Uint32Array): void {
    this.#halves.set(stamp, place * stamp.length);
  }

  isSame(place: number, stamp: Uint32Array): boolean {
    const start = place * stamp.length;
    return stamp.every((half, i) => half === this.#halves[start + i]);
  }
}

const TYPES: readonly ThingType[] = ['file', 'dir', 'symlink', 'char', 'block', 'fifo', 'socket'];
const SPARSE = 8;
/** Of permissions. */
const MODE_BITS = 12;

const BILLION = 1_000_000_000n;

/** What changes when anything about a thing does, as text. */
export function stampOf({ ino, size, mtime, ctime }: ThingStat): string {
  return `${ino}:${size}:${mtime}:${ctime}`;
}

/** Looks at what is at a path; a symbolic link is not followed. @throws Error `ENOENT` and the like */
export function lookAt(root: TreeRoot, path: BytePath): ThingStat {
  return thingStat(lstatSync(root.bytesAt(path), { bigint: true }));
}

function typeOf(stat: BigIntStats): ThingType {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'dir';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isCharacterDevice()) return 'char';
  if (stat.isBlockDevice()) return 'block';
  return stat.isFIFO() ? 'fifo' : 'socket';
}
