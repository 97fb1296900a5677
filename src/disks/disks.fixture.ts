/** For tests: disks as the agent finds them, and as a plan leaves them. */
import { MIRROR_HALF } from '../fleet/layout.ts';
import type { DiskFacts, PartitionFacts } from '../fleet/machine.ts';
import type { DiskPlan, OneDiskPlan } from './plan.ts';

export function blankDisk(path: string, bytes: number, more: Partial<DiskFacts> = {}): DiskFacts {
  const contents: DiskFacts['contents'] = {
    sectorBytes: 512,
    readOnly: false,
    removable: false,
    partitions: [],
    signatures: [],
    written: false,
    digest: '0'.repeat(64),
  };
  return { path, bytes, rotational: false, contents, ...more };
}

/** A disk with partitions that bladeroot did not make. */
export function usedDisk(
  path: string,
  bytes: number,
  partitions: PartitionFacts[],
  digest = 'used',
): DiskFacts {
  const disk = blankDisk(path, bytes);
  const contents = { ...disk.contents, table: 'gpt', partitions, signatures: ['gpt'], written: true, digest };
  return { ...disk, contents };
}

/** What the agent would find on the disk after the plan was carried out. */
export function afterwards({ disk, partitions }: OneDiskPlan): DiskFacts {
  const found = partitions.map((planned, index): PartitionFacts => {
    const before = disk.contents.partitions.find(({ uuid }) => uuid === planned.uuid);
    const fileSystem =
      planned.change === 'keep' || planned.change === 'grow' ? before?.fileSystem : planned.fs;
    return {
      number: planned.number ?? 100 + index,
      path: before?.path ?? `${disk.path}-${planned.name}`,
      name: before?.name ?? planned.name,
      uuid: planned.uuid ?? `${planned.name}-${planned.start}`,
      type: planned.type ?? 'linux',
      start: planned.start,
      bytes: planned.bytes,
      ...(fileSystem === undefined ? {} : { fileSystem }),
      blank: fileSystem === undefined && (before?.blank ?? true),
    };
  });
  return usedDisk(disk.path, disk.bytes, found, `${disk.contents.digest}+`);
}

export const MIRROR_UUID = '772a477b-2813-63e7-208b-31b54b94f1c7';

/** What the agent would find on the disks of a mirror, and that as the last of them. */
export function mirrorAfterwards(plan: DiskPlan): DiskFacts[] {
  const disks = plan.mirror?.halves.map((half) => withHalf(afterwards(half))) ?? [];
  const halves = disks.map(halfPath);
  return [...disks, { ...afterwards(plan), mirror: { uuid: MIRROR_UUID, halves } }];
}

/** As the agent finds them when only these disks are there. */
export function withoutDisks(found: readonly DiskFacts[], gone: (disk: DiskFacts) => boolean): DiskFacts[] {
  const staying = found.filter((disk) => !gone(disk));
  const paths = new Set(staying.flatMap(({ contents }) => contents.partitions.map(({ path }) => path)));
  return staying.map((disk) =>
    disk.mirror === undefined
      ? disk
      : { ...disk, mirror: { ...disk.mirror, halves: disk.mirror.halves.filter((path) => paths.has(path)) } },
  );
}

function withHalf(disk: DiskFacts): DiskFacts {
  const partitions = disk.contents.partitions.map((one) =>
    one.name === MIRROR_HALF
      ? { ...one, fileSystem: 'linux_raid_member', array: MIRROR_UUID, blank: false }
      : one,
  );
  return { ...disk, contents: { ...disk.contents, partitions } };
}

function halfPath({ contents }: DiskFacts): string {
  return contents.partitions.find(({ name }) => name === MIRROR_HALF)?.path ?? '';
}
