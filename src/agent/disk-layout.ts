/** Which disk becomes a blade's, and how it is divided. Pure: facts in, plan out. */
import { BladerootError } from '../errors.ts';
import { PARTITIONS } from '../slot/partitions.ts';

/** What the agent knows of a disk before it touches it. */
export interface DiskFacts {
  /** Such as /dev/vda. */
  path: string;
  bytes: number;
  readOnly: boolean;
  removable: boolean;
  partitions: PartitionFacts[];
  /** What wipefs finds on the disk itself, such as `gpt` or `ext4`. */
  signatures: string[];
  /** Whether the first MiB holds anything but zeros. */
  written: boolean;
  /** Why it could not be looked at; undefined when it could. */
  unreadable?: string;
}

export interface PartitionFacts {
  path: string;
  /** The partition's name in the GPT; empty without one. */
  name: string;
}

export interface DiskPlan {
  disk: DiskFacts;
  /** `keep`: bladeroot has laid it out before; `lay-out`: it is blank and gets the partitions of `script`. */
  action: 'keep' | 'lay-out';
  /** For sfdisk's stdin. */
  script: string;
}

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;
const ESP_BYTES = 512 * MiB;
/** BIOS boot, GPT's own two copies and alignment. */
const OVERHEAD_BYTES = 8 * MiB;
/** Room for a store: what a standby needs, and then some. */
const MIN_PERSIST_BYTES = GiB;
/** More than this a slot never needs, however large the disk. */
const MAX_SLOT_BYTES = 32 * GiB;

/**
 * Chooses the disk that bladeroot has laid out already, or else the first blank one that is large enough.
 * @param slotBytes size of a slot; undefined: a third of the disk, 32 GiB at the most.
 * @param neededBytes what a slot has to hold.
 * @throws BladerootError `NO_FREE_DISK` that says of each disk why not
 */
export function planDisk(disks: DiskFacts[], slotBytes: number | undefined, neededBytes: number): DiskPlan {
  const ours = disks.find(isLaidOut);
  if (ours !== undefined) return { disk: ours, action: 'keep', script: '' };
  const reasons: string[] = [];
  for (const disk of disks) {
    const slot = wholeMebibytes(slotBytes ?? shareOf(disk.bytes));
    const reason = whyNot(disk, slot, neededBytes);
    if (reason === undefined) return { disk, action: 'lay-out', script: sfdiskScript(slot) };
    reasons.push(`${disk.path} ${reason}`);
  }
  throw new BladerootError(
    'NO_FREE_DISK',
    `no free disk: ${disks.length === 0 ? 'the machine has no disk that the kernel knows' : reasons.join('; ')}`,
    { hint: 'bladeroot touches no disk that it has not laid out: add one, or erase one with `wipefs --all`' },
  );
}

/** Whether all of a blade's partitions are there, by name. */
export function isLaidOut(disk: Pick<DiskFacts, 'partitions'>): boolean {
  const names = new Set(disk.partitions.map(({ name }) => name));
  return Object.values(PARTITIONS).every((name) => names.has(name));
}

function shareOf(bytes: number): number {
  const share = (bytes - ESP_BYTES - OVERHEAD_BYTES) / 3;
  return Math.min(MAX_SLOT_BYTES, Math.max(0, share));
}

/** sfdisk is told sizes in MiB, to which it aligns. */
function wholeMebibytes(bytes: number): number {
  return Math.floor(bytes / MiB) * MiB;
}

function whyNot(disk: DiskFacts, slotBytes: number, neededBytes: number): string | undefined {
  if (disk.readOnly) return 'is read-only';
  if (disk.removable) return 'is removable';
  if (disk.unreadable !== undefined) return `cannot be read (${disk.unreadable})`;
  const carried = [...disk.signatures, ...disk.partitions.map(({ name, path }) => name || path)];
  if (carried.length > 0) return `is not blank, it carries ${carried.join(', ')}`;
  if (disk.written) return 'is not blank, it carries data of an unknown kind';
  if (slotBytes < neededBytes) {
    return `is too small: a slot of it has ${mebibytes(slotBytes)}, the image needs ${mebibytes(neededBytes)}`;
  }
  const least = 2 * slotBytes + ESP_BYTES + OVERHEAD_BYTES + MIN_PERSIST_BYTES;
  if (disk.bytes < least)
    return `is too small: it has ${mebibytes(disk.bytes)} and needs ${mebibytes(least)}`;
  return undefined;
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / MiB)} MiB`;
}

/** Types by sfdisk's names of GPT type GUIDs (UEFI specification 5.3.3; GRUB's manual for the BIOS boot partition). */
function sfdiskScript(slotBytes: number): string {
  const slot = slotBytes / MiB;
  return [
    'label: gpt',
    `name=${PARTITIONS.biosBoot}, size=2MiB, type=21686148-6449-6E6F-744E-656564454649`,
    `name=${PARTITIONS.esp}, size=${ESP_BYTES / MiB}MiB, type=uefi`,
    `name=${PARTITIONS.a}, size=${slot}MiB, type=linux`,
    `name=${PARTITIONS.b}, size=${slot}MiB, type=linux`,
    `name=${PARTITIONS.persist}, type=linux`,
    '',
  ].join('\n');
}
