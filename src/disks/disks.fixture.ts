/** For tests: disks as the agent finds them, and as a plan leaves them. */
import type { DiskFacts, PartitionFacts } from '../fleet/machine.ts';
import type { DiskPlan } from './plan.ts';

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
export function afterwards({ disk, partitions }: DiskPlan): DiskFacts {
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
