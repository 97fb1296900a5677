/** Where the partitions of a disk come to lie: those that are there stay where they are. Pure. */
import type { PartitionFacts } from '../fleet/machine.ts';
import { PARTITIONS, type Size, type WantedPartition } from '../fleet/layout.ts';
import { gibibytes } from './wording.ts';

export const MiB = 1024 ** 2;
const GiB = 1024 ** 3;
/** More than this a slot without a size never gets, however large the disk. */
const MAX_SLOT_BYTES = 32 * GiB;
/** Room for a store: what a standby needs, and then some. */
const MIN_PERSIST_BYTES = GiB;
/** What the programs that make them refuse to go below, rounded up. */
const MIN_BYTES = { ext4: 8 * MiB, xfs: 300 * MiB, btrfs: 128 * MiB, vfat: 64 * MiB, swap: MiB };

/** Bytes from `start` on. */
export interface Extent {
  start: number;
  bytes: number;
}

/** The bytes of a disk that partitions may have: all but the first and the last MiB, where the table and its copy are. */
export function usableExtent(diskBytes: number): Extent {
  const end = Math.floor((diskBytes - MiB) / MiB) * MiB;
  return { start: MiB, bytes: Math.max(0, end - MiB) };
}

/** Why the partitions cannot be had. */
export class NoRoom extends Error {}

export interface PlaceRequest {
  diskBytes: number;
  /** All that are wanted, in the order in which a blank disk gets them. */
  wanted: readonly WantedPartition[];
  /** Those of the disk that stay, by name: wanted ones and others. */
  staying: readonly PartitionFacts[];
  /** What a slot has to hold. */
  neededBytes: number;
}

/**
 * Grows what is too small and has room behind it, then places what is missing, and lets what takes the rest grow last.
 * The same request again, with what came of it as `staying`, changes nothing.
 * @returns an extent for each wanted partition, by name
 * @throws NoRoom
 */
export function place({ diskBytes, wanted, staying, neededBytes }: PlaceRequest): Map<string, Extent> {
  const usable = usableExtent(diskBytes);
  const placed = new Map<string, Extent>(staying.map(({ name, start, bytes }) => [name, { start, bytes }]));
  const space = new Space(usable, placed);
  const there = new Set(staying.map(({ name }) => name));
  const sizes = sizesOf(wanted, usable.bytes);
  for (const partition of wanted) {
    const extent = placed.get(partition.name);
    const bytes = sizes.get(partition.name);
    if (extent !== undefined && bytes !== undefined) grow(space, partition, extent, bytes);
  }
  for (const partition of wanted.filter(({ name }) => !there.has(name))) {
    placed.set(partition.name, newExtent(space, partition, sizes.get(partition.name)));
  }
  for (const { name, size, keep } of wanted) {
    const extent = placed.get(name);
    if (extent !== undefined && size === 'rest' && !keep) extent.bytes += space.behind(extent);
  }
  requireSlots(placed, neededBytes);
  return placed;
}

/** What is wanted of the usable bytes, but for what takes the rest. */
function sizesOf(wanted: readonly WantedPartition[], usable: number): Map<string, number> {
  const sized = wanted.flatMap(({ name, size }): [string, number][] => {
    const bytes = bytesIn(size, usable);
    return bytes === undefined ? [] : [[name, bytes]];
  });
  const others = sized.reduce((sum, [, bytes]) => sum + bytes, 0);
  const shares = wanted.some(({ size }) => size === 'rest') ? 3 : 2;
  const slot = wholeMiB(Math.min(MAX_SLOT_BYTES, Math.max(MiB, (usable - others) / shares)));
  return new Map([
    ...sized,
    ...wanted.filter(({ size }) => size === 'slot').map(({ name }): [string, number] => [name, slot]),
  ]);
}

function bytesIn(size: Size, usable: number): number | undefined {
  if (typeof size !== 'object') return undefined;
  return wholeMiB('bytes' in size ? size.bytes : (usable * size.percent) / 100);
}

function wholeMiB(bytes: number): number {
  return Math.floor(bytes / MiB) * MiB;
}

/** A share that has become more, as a disk has, is had where there is room; a size that somebody wrote must be had. */
function grow(space: Space, { name, size, keep }: WantedPartition, extent: Extent, bytes: number): void {
  if (keep || bytes <= extent.bytes) return;
  if (space.behind(extent) >= bytes - extent.bytes) {
    extent.bytes = bytes;
    return;
  }
  if (typeof size !== 'object' || !('bytes' in size)) return;
  throw new NoRoom(
    `${name} has ${gibibytes(extent.bytes)}, is to have ${gibibytes(bytes)}, and has no room behind it`,
  );
}

function newExtent(
  space: Space,
  { name, kind, size, fs }: WantedPartition,
  sized: number | undefined,
): Extent {
  const least = kind === 'persist' ? MIN_PERSIST_BYTES : fs === undefined ? MiB : MIN_BYTES[fs];
  const gaps = space.gaps();
  const largest = gaps.reduce((most, { bytes }) => Math.max(most, bytes), 0);
  const bytes = size === 'rest' ? largest : (sized ?? 0);
  if (size === 'rest' ? largest < least : bytes < least) {
    const has =
      size === 'rest' ? `${gibibytes(largest)} are left for it` : `it would have ${gibibytes(bytes)}`;
    throw new NoRoom(`${name} needs ${gibibytes(least)} at the least, and ${has}`);
  }
  const gap = gaps.find((free) => free.bytes >= bytes);
  if (gap === undefined)
    throw new NoRoom(`${name} needs ${gibibytes(bytes)}, and ${gibibytes(largest)} are free in one piece`);
  return { start: gap.start, bytes };
}

function requireSlots(placed: ReadonlyMap<string, Extent>, neededBytes: number): void {
  for (const name of [PARTITIONS.a, PARTITIONS.b]) {
    const bytes = placed.get(name)?.bytes ?? 0;
    if (bytes < neededBytes)
      throw new NoRoom(`a slot of it has ${gibibytes(bytes)}, and the image needs ${gibibytes(neededBytes)}`);
  }
}

/** What is free between the partitions that are placed, in whole MiB. */
class Space {
  readonly #usable: Extent;
  readonly #placed: ReadonlyMap<string, Extent>;

  constructor(usable: Extent, placed: ReadonlyMap<string, Extent>) {
    this.#usable = usable;
    this.#placed = placed;
  }

  gaps(): Extent[] {
    const gaps: Extent[] = [];
    let from = this.#usable.start;
    const free = (to: number): void => {
      const start = Math.ceil(from / MiB) * MiB;
      const bytes = wholeMiB(to - start);
      if (bytes > 0) gaps.push({ start, bytes });
    };
    for (const { start, bytes } of [...this.#placed.values()].sort((a, b) => a.start - b.start)) {
      free(start);
      from = Math.max(from, start + bytes);
    }
    free(this.#usable.start + this.#usable.bytes);
    return gaps;
  }

  /** Free bytes right behind it, as many as make it end at a whole MiB. */
  behind({ start, bytes }: Extent): number {
    const end = start + bytes;
    const next = Math.min(
      this.#usable.start + this.#usable.bytes,
      ...[...this.#placed.values()].filter((other) => other.start >= end).map((other) => other.start),
    );
    return Math.max(0, wholeMiB(next) - end);
  }
}
