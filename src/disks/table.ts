/** A plan as sfdisk reads it (sfdisk(8), "named-fields format"). Pure. */
import type { OneDiskPlan, PlannedKind, PlannedPartition } from './plan.ts';

/** Type GUIDs: UEFI specification 5.3.3, GRUB's manual for the BIOS boot partition, the Discoverable Partitions Specification, systemd-repart(8) for RAID. */
const TYPES: Record<PlannedKind | 'swap', string> = {
  bios: '21686148-6449-6E6F-744E-656564454649',
  esp: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B',
  slot: '0FC63DAF-8483-4772-8E79-3D69D8477DE4',
  persist: '0FC63DAF-8483-4772-8E79-3D69D8477DE4',
  further: '0FC63DAF-8483-4772-8E79-3D69D8477DE4',
  half: 'A19D880F-05FC-4D3B-A006-743F0F84911E',
  left: '0FC63DAF-8483-4772-8E79-3D69D8477DE4',
  swap: '0657FD6D-A4AB-43C4-84E5-0933C84B4F4F',
};

/** The whole table: those that stay have their numbers and PARTUUIDs, new ones the lowest numbers that are free. */
export function sfdiskScript({ disk, partitions }: Pick<OneDiskPlan, 'disk' | 'partitions'>): string {
  const { sectorBytes } = disk.contents;
  const used = new Set(partitions.map(({ number }) => number));
  let next = 1;
  const numberOf = ({ number }: PlannedPartition): number => {
    if (number !== undefined) return number;
    while (used.has(next)) next++;
    return next++;
  };
  const lines = partitions.map((partition) => {
    const { name, start, bytes, uuid, kind, fs } = partition;
    const type = partition.type ?? TYPES[fs === 'swap' ? 'swap' : kind];
    const fields = [
      `start=${start / sectorBytes}`,
      `size=${bytes / sectorBytes}`,
      `type=${type}`,
      ...(uuid === undefined ? [] : [`uuid=${uuid}`]),
      `name="${name}"`,
    ];
    return `p${numberOf(partition)} : ${fields.join(', ')}`;
  });
  return ['label: gpt', 'unit: sectors', '', ...lines, ''].join('\n');
}
