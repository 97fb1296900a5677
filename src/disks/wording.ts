/** Sizes and contents of disks in words. Pure. */
import { OWN_PREFIX } from '../fleet/layout.ts';
import type { DiskFacts, PartitionFacts } from '../fleet/machine.ts';
import type { DiskPlan } from './plan.ts';

const MiB = 1024 ** 2;

/** `512 MiB`, `1.5 GiB`. */
export function gibibytes(bytes: number): string {
  if (bytes < 1024 * MiB) return `${Math.round(bytes / MiB)} MiB`;
  const gibi = bytes / 1024 ** 3;
  const text = gibi < 100 ? gibi.toFixed(1).replace(/\.0$/, '') : Math.round(gibi).toString();
  return `${text} GiB`;
}

/** `/dev/sda1 (ntfs, 100 GiB)`, and the name of one that bladeroot has made. */
export function describePartition({ name, path, fileSystem, bytes, blank }: PartitionFacts): string {
  const what = fileSystem ?? (blank ? 'nothing in it' : 'data of an unknown kind');
  const called = name === '' || name.startsWith(OWN_PREFIX) ? '' : ` "${name}"`;
  return `${name.startsWith(OWN_PREFIX) ? name : path}${called} (${what}, ${gibibytes(bytes)})`;
}

/** What would be lost with a disk, a thing each; nothing for a blank one. */
export function describeContents({ contents }: DiskFacts): string[] {
  const { partitions, signatures, table, written } = contents;
  if (partitions.length > 0) return partitions.map(describePartition);
  const found = [
    ...new Set([...(table === undefined ? [] : [`${table} without partitions`]), ...signatures]),
  ];
  const named = found.filter((name) => name !== table && name !== 'PMBR');
  if (named.length > 0) return named;
  return written ? ['data of an unknown kind'] : [];
}

/** `a, b and c`. */
export function listed(names: readonly string[]): string {
  const [last = '', ...before] = names.toReversed();
  return before.length === 0 ? last : `${before.toReversed().join(', ')} and ${last}`;
}

/** Which disks a plan wipes: of a mirror those of its disks that carry something. */
export function wipedDisks({ disk, mirror }: DiskPlan): string[] {
  const wiped = (mirror?.halves ?? []).filter(({ loses }) => loses.length > 0);
  return wiped.length === 0 ? [disk.path] : wiped.map((half) => half.disk.path);
}
