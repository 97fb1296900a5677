/** Which disks of a machine a layout means, the one that it means most first. Pure. */
import type { Disks } from '../fleet/disk-fields.ts';
import { bytesOf, PARTITIONS } from '../fleet/layout.ts';
import type { DiskFacts } from '../fleet/machine.ts';

/**
 * Those that are what `use` says, one that bladeroot has laid out first. With `pick` there is one beside it at the most:
 * who says which disk it is does not mean another one that happens to be blank.
 */
export function candidates(disks: readonly DiskFacts[], use: Disks['use']): DiskFacts[] {
  const meant = disks.filter((disk) => matches(disk, use));
  const ours = meant.filter(isLaidOut);
  if (ours.length > 0) return ours;
  // Sorting is stable: of blank disks the kernel's first comes first.
  if (use.pick === undefined) return [...meant].sort((a, b) => Number(isBlank(b)) - Number(isBlank(a)));
  const fit = meant.filter((disk) => unfit(disk) === undefined);
  const inOrder = {
    smallest: fit.toSorted((a, b) => a.bytes - b.bytes),
    largest: fit.toSorted((a, b) => b.bytes - a.bytes),
    'first-nvme': fit.filter(({ path }) => /\/nvme\d+n\d+$/.test(path)),
  };
  return inOrder[use.pick].slice(0, 1);
}

/** Whether all of a blade's own partitions are there, by name. */
export function isLaidOut({ contents }: DiskFacts): boolean {
  const names = new Set(contents.partitions.map(({ name }) => name));
  return Object.values(PARTITIONS).every((name) => names.has(name));
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

function matches(disk: DiskFacts, use: Disks['use']): boolean {
  const [least = '', most = ''] = use.size?.split('..') ?? [];
  return (
    (use.path === undefined || use.path === disk.path) &&
    (use.serial === undefined || use.serial === disk.serial) &&
    (use.model === undefined || disk.model?.toLowerCase().includes(use.model.toLowerCase()) === true) &&
    (use.rotational === undefined || use.rotational === disk.rotational) &&
    (least === '' || disk.bytes >= bytesOf(least)) &&
    (most === '' || disk.bytes <= bytesOf(most))
  );
}
