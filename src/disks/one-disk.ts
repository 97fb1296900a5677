/** What becomes of one disk, or of a mirror, which is divided like one: facts and what is wanted in, a plan out. Pure. */
import { OWN_PREFIX, type WantedPartition } from '../fleet/layout.ts';
import type { DiskFacts, PartitionFacts } from '../fleet/machine.ts';
import { hasAll, isBlank } from './choose.ts';
import { NoRoom, place } from './place.ts';
import type { OneDiskPlan, PlannedPartition } from './plan.ts';
import { describeContents, describePartition } from './wording.ts';

/** @returns why not, for a sentence that begins with the disk's path */
export function planWithoutLoss(
  disk: DiskFacts,
  wanted: readonly WantedPartition[],
  neededBytes: number,
): OneDiskPlan | string {
  if (isBlank(disk)) return planNew(disk, wanted, neededBytes, []);
  if (!hasAll(disk, ownNames(wanted))) return `is not blank, it carries ${describeContents(disk).join(', ')}`;
  const { partitions } = disk.contents;
  const own = partitions.filter(({ name }) => name.startsWith(OWN_PREFIX));
  const foreign = partitions.filter((one) => !own.includes(one));
  const twice = own.find(({ name }, at) => own.findIndex((one) => one.name === name) !== at);
  if (twice !== undefined) return `has two partitions called ${twice.name}`;
  const wrong = wanted.flatMap((one) => {
    const there = own.find(({ name }) => name === one.name);
    return there === undefined || canBe(there, one) ? [] : [{ there, one }];
  });
  const [first] = wrong;
  if (first !== undefined) {
    return `would lose ${describePartition(first.there)}, which is to be ${first.one.fs ?? 'another'}`;
  }
  // Names of others may stand twice, or be none.
  const staying = [...own, ...foreign.map((one) => ({ ...one, name: one.path }))];
  const planned = placed(disk, wanted, neededBytes, staying);
  if (typeof planned === 'string') return planned;
  const isKept = planned.every(({ change }) => change === 'keep');
  if (!isKept && foreign.length > 0)
    return `is to be changed, and carries what bladeroot did not lay out: ${foreign.map(describePartition).join(', ')}`;
  return { action: isKept ? 'keep' : 'change', disk, partitions: planned, loses: [] };
}

/** Those by which a disk is known to be laid out. */
function ownNames(wanted: readonly WantedPartition[]): string[] {
  return wanted.flatMap(({ kind, name }) => (kind === 'further' ? [] : [name]));
}

/** Whether what is in a partition may stay, or is nothing. */
function canBe(there: PartitionFacts, { kind, fs, keep }: WantedPartition): boolean {
  if (kind === 'bios' || kind === 'slot' || kind === 'half' || there.fileSystem === fs || there.blank)
    return true;
  // What was swapped out is gone with the last boot.
  return there.fileSystem === 'swap' && !keep;
}

/** The disk with all that is on it given up, but for what is to be kept and, where there is room, bladeroot's own. */
export function planWiped(
  disk: DiskFacts,
  all: readonly WantedPartition[],
  neededBytes: number,
): OneDiskPlan | string {
  if (!hasAll(disk, ownNames(all))) return planNew(disk, all, neededBytes, []);
  const there = disk.contents.partitions.flatMap((one) => {
    const wanted = all.find(({ name }) => name === one.name);
    return wanted === undefined || one.blank ? [] : [{ one, wanted }];
  });
  const kept = there.filter(({ wanted }) => wanted.keep);
  const other = kept.find(({ one, wanted }) => !canBe(one, wanted));
  if (other !== undefined)
    return `has ${describePartition(other.one)} to keep, which is to be ${other.wanted.fs ?? 'another'}`;
  const persist = there.filter(({ one, wanted }) => wanted.kind === 'persist' && canBe(one, wanted));
  const withPersist = planNew(disk, all, neededBytes, partitionsOf([...new Set([...kept, ...persist])]));
  return typeof withPersist === 'string' ? planNew(disk, all, neededBytes, partitionsOf(kept)) : withPersist;
}

function partitionsOf(found: readonly { one: PartitionFacts }[]): PartitionFacts[] {
  return found.map(({ one }) => one);
}

export function planNew(
  disk: DiskFacts,
  wanted: readonly WantedPartition[],
  neededBytes: number,
  staying: PartitionFacts[],
): OneDiskPlan | string {
  const partitions = placed(disk, wanted, neededBytes, staying);
  if (typeof partitions === 'string') return partitions;
  const lost =
    staying.length === 0
      ? describeContents(disk)
      : disk.contents.partitions.filter((one) => !staying.includes(one)).map(describePartition);
  return { action: 'lay-out', disk, partitions, loses: lost };
}

/** @returns why there is no room, for a sentence that begins with the disk's path */
function placed(
  disk: DiskFacts,
  wanted: readonly WantedPartition[],
  neededBytes: number,
  staying: readonly PartitionFacts[],
): PlannedPartition[] | string {
  try {
    const extents = place({ diskBytes: disk.bytes, wanted, staying, neededBytes });
    return [...extents]
      .map(([name, extent]) => {
        const one = wanted.find((partition) => partition.name === name);
        const there = staying.find((partition) => partition.name === name);
        return planned({ name, ...extent }, one, there);
      })
      .sort((a, b) => a.start - b.start);
  } catch (error) {
    if (error instanceof NoRoom) return `has no room: ${error.message}`;
    throw error;
  }
}

function planned(
  at: { name: string; start: number; bytes: number },
  wanted: WantedPartition | undefined,
  there: PartitionFacts | undefined,
): PlannedPartition {
  const { kind = 'left', keep = true, fs, mount, options = [], label } = wanted ?? {};
  return {
    ...at,
    kind,
    change: changeOf(at.bytes, wanted, there),
    options,
    untouchable: keep,
    ...(fs === undefined ? {} : { fs }),
    ...(mount === undefined ? {} : { mount }),
    ...(label === undefined ? {} : { label }),
    ...(there === undefined ? {} : { number: there.number, uuid: there.uuid, type: there.type }),
  };
}

function changeOf(
  bytes: number,
  wanted: WantedPartition | undefined,
  there: PartitionFacts | undefined,
): PlannedPartition['change'] {
  if (there === undefined) return 'new';
  if (wanted?.fs !== undefined && there.fileSystem !== wanted.fs) return 'format';
  return bytes > there.bytes ? 'grow' : 'keep';
}
