/** Which disks of a machine a layout means, the one that it means most first. Pure. */
import type { Disks } from '../fleet/disk-fields.ts';
import { bytesOf, MIRROR_HALF, PARTITIONS } from '../fleet/layout.ts';
import type { DiskFacts } from '../fleet/machine.ts';

/**
 * Those that are what `use` says, one that bladeroot has laid out first. With `pick` there is one beside it at the most:
 * who says which disk it is does not mean another one that happens to be blank.
 */
export function candidates(disks: readonly DiskFacts[], use: Disks['use']): DiskFacts[] {
  const meant = disks.filter((disk) => matches(disk, use));
  const ours = meant.filter(isLaidOut);
  return ours.length > 0 ? ours : inOrderOf(meant, use, 1);
}

/**
 * What `use` says, blank disks first; with `pick` so many at the most, also where they are not blank.
 * @param disks that have what `matches` asks for
 */
export function inOrderOf(disks: readonly DiskFacts[], { pick }: Disks['use'], most: number): DiskFacts[] {
  // Sorting is stable: of blank disks the kernel's first comes first.
  if (pick === undefined) return disks.toSorted((a, b) => Number(isBlank(b)) - Number(isBlank(a)));
  const fit = disks.filter((disk) => unfit(disk) === undefined);
  const inOrder = {
    smallest: fit.toSorted((a, b) => a.bytes - b.bytes),
    largest: fit.toSorted((a, b) => b.bytes - a.bytes),
    'first-nvme': fit.filter(({ path }) => /\/nvme\d+n\d+$/.test(path)),
  };
  return inOrder[pick].slice(0, most);
}

/** Whether all of a blade's own partitions are there, by name: those of a blade on one disk. */
export function isLaidOut(disk: DiskFacts): boolean {
  return hasAll(disk, Object.values(PARTITIONS));
}

/** Whether it is laid out as one of two disks of a mirror. */
export function isHalf(disk: DiskFacts): boolean {
  return hasAll(disk, [PARTITIONS.biosBoot, PARTITIONS.esp, MIRROR_HALF]);
}

export function hasAll({ contents }: DiskFacts, wanted: readonly string[]): boolean {
  const names = new Set(contents.partitions.map(({ name }) => name));
  return wanted.every((name) => names.has(name));
}

/** Whether nothing is on it at all. */
export function isBlank({ contents }: DiskFacts): boolean {
  return contents.partitions.length === 0 && contents.signatures.length === 0 && !contents.written;
}

/** Why a disk is nothing to install on, whatever it carries. */
export function unfit({ contents }: DiskFacts): string | undefined {
  if (contents.readOnly) return 'is read-only';
  if (contents.removable) return 'is removable';
  if (contents.unreadable !== undefined) return `cannot be read (${contents.unreadable})`;
  return undefined;
}

export function matches(disk: DiskFacts, use: Disks['use']): boolean {
  const [least = '', most = ''] = use.size?.split('..') ?? [];
  return (
    isNamed(disk.path, use.path) &&
    isNamed(disk.serial, use.serial) &&
    (use.model === undefined || disk.model?.toLowerCase().includes(use.model.toLowerCase()) === true) &&
    (use.rotational === undefined || use.rotational === disk.rotational) &&
    (least === '' || disk.bytes >= bytesOf(least)) &&
    (most === '' || disk.bytes <= bytesOf(most))
  );
}

function isNamed(own: string | undefined, named: string | readonly string[] | undefined): boolean {
  return named === undefined || (own !== undefined && [named].flat().includes(own));
}
