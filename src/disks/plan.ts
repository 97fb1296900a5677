/** What becomes of a machine's disks: facts and a layout in, a plan out. Pure. */
import type { FileSystem } from '../fleet/disk-fields.ts';
import { OWN_PREFIX, type Layout, type PartitionKind, type WantedPartition } from '../fleet/layout.ts';
import type { DiskFacts, PartitionFacts } from '../fleet/machine.ts';
import { candidates, isBlank, isLaidOut, unfit } from './choose.ts';
import { fingerprintOf } from './fingerprint.ts';
import { NoRoom, place } from './place.ts';
import { describeContents, describePartition } from './wording.ts';

/** `left`: bladeroot has made it once, and no layout asks for it any more. */
export type PlannedKind = PartitionKind | 'left';

export interface PlannedPartition {
  /** In the GPT. */
  name: string;
  kind: PlannedKind;
  start: number;
  bytes: number;
  /**
   * `keep`: not written at all; `grow`: more bytes, and its file system with it; `format`: there, and gets its file
   * system; `new`.
   */
  change: 'keep' | 'grow' | 'format' | 'new';
  fs?: FileSystem;
  mount?: string;
  options: string[];
  label?: string;
  /** Nothing of it is written, nor does it grow. */
  untouchable: boolean;
  /** Of one that is there: its number, PARTUUID and type. */
  number?: number;
  uuid?: string;
  type?: string;
}

export interface Refusal {
  action: 'refuse';
  /** One for each disk, beginning with its path. */
  reasons: string[];
  /** What could be done if it were allowed. */
  ifWiped?: { plan: DiskPlan; fingerprint: string };
}

export interface DiskPlan {
  /** `keep`: nothing is to be written; `lay-out`: the disk is divided anew; `change`: what is there stays. */
  action: 'keep' | 'lay-out' | 'change';
  disk: DiskFacts;
  /** All that are on the disk afterwards, by where they begin; those of others than bladeroot where it keeps them. */
  partitions: PlannedPartition[];
  /** What is lost, in words; nothing unless it was allowed. */
  loses: string[];
}

/**
 * @param neededBytes what a slot has to hold
 * A disk that bladeroot has laid out comes before blank ones; what carries anything else is wiped only as `layout.wipe`
 * allows, and never what is marked to be kept.
 */
export function planDisks(
  disks: readonly DiskFacts[],
  layout: Layout,
  neededBytes: number,
): DiskPlan | Refusal {
  const reasons: string[] = [];
  const refused: DiskFacts[] = [];
  const meant = candidates(disks, layout.use);
  const elsewhere = meant.some(isLaidOut) ? undefined : disks.find(isLaidOut);
  if (elsewhere !== undefined) {
    const other =
      meant[0] === undefined ? 'none of the others is either' : `${meant[0].path} would be a second one`;
    const reason = `${elsewhere.path} is laid out already, and is not what disks.use says; ${other}`;
    return { action: 'refuse', reasons: [reason] };
  }
  for (const disk of meant) {
    const tried = unfit(disk) ?? planWithoutLoss(disk, layout, neededBytes);
    if (typeof tried !== 'string') return tried;
    reasons.push(`${disk.path} ${tried}`);
    refused.push(disk);
    // Another disk would have the same partitions a second time.
    if (isLaidOut(disk)) break;
  }
  if (disks.length === 0) reasons.push('the machine has no disk that the kernel knows');
  else if (meant.length === 0) reasons.push(`none of its ${disks.length} disks is what disks.use says`);
  for (const disk of refused) {
    if (unfit(disk) !== undefined) continue;
    const plan = planWiped(disk, layout, neededBytes);
    if (typeof plan === 'string') {
      if (!reasons.includes(`${disk.path} ${plan}`)) reasons.push(`${disk.path}, if it were wiped, ${plan}`);
      continue;
    }
    const fingerprint = fingerprintOf(disk);
    if (layout.wipe === 'always' || layout.wipe === fingerprint) return plan;
    return { action: 'refuse', reasons, ifWiped: { plan, fingerprint } };
  }
  return { action: 'refuse', reasons };
}

/** @returns why not, for a sentence that begins with the disk's path */
function planWithoutLoss(disk: DiskFacts, layout: Layout, neededBytes: number): DiskPlan | string {
  if (isBlank(disk)) return planNew(disk, layout, neededBytes, []);
  if (!isLaidOut(disk)) return `is not blank, it carries ${describeContents(disk).join(', ')}`;
  const { partitions } = disk.contents;
  const own = partitions.filter(({ name }) => name.startsWith(OWN_PREFIX));
  const foreign = partitions.filter((one) => !own.includes(one));
  const twice = own.find(({ name }, at) => own.findIndex((one) => one.name === name) !== at);
  if (twice !== undefined) return `has two partitions called ${twice.name}`;
  const wrong = layout.partitions.flatMap((wanted) => {
    const there = own.find(({ name }) => name === wanted.name);
    return there === undefined || canBe(there, wanted) ? [] : [{ there, wanted }];
  });
  const [first] = wrong;
  if (first !== undefined) {
    return `would lose ${describePartition(first.there)}, which is to be ${first.wanted.fs ?? 'another'}`;
  }
  // Names of others may stand twice, or be none.
  const staying = [...own, ...foreign.map((one) => ({ ...one, name: one.path }))];
  const planned = placed(disk, layout, neededBytes, staying);
  if (typeof planned === 'string') return planned;
  const isKept = planned.every(({ change }) => change === 'keep');
  if (!isKept && foreign.length > 0)
    return `is to be changed, and carries what bladeroot did not lay out: ${foreign.map(describePartition).join(', ')}`;
  return { action: isKept ? 'keep' : 'change', disk, partitions: planned, loses: [] };
}

/** Whether what is in a partition may stay, or is nothing. */
function canBe(there: PartitionFacts, { kind, fs, keep }: WantedPartition): boolean {
  if (kind === 'bios' || kind === 'slot' || there.fileSystem === fs || there.blank) return true;
  // What was swapped out is gone with the last boot.
  return there.fileSystem === 'swap' && !keep;
}

/** The disk with all that is on it given up, but for what is to be kept and, where there is room, bladeroot's own. */
function planWiped(disk: DiskFacts, layout: Layout, neededBytes: number): DiskPlan | string {
  if (!isLaidOut(disk)) return planNew(disk, layout, neededBytes, []);
  const there = disk.contents.partitions.flatMap((one) => {
    const wanted = layout.partitions.find(({ name }) => name === one.name);
    return wanted === undefined || one.blank ? [] : [{ one, wanted }];
  });
  const kept = there.filter(({ wanted }) => wanted.keep);
  const other = kept.find(({ one, wanted }) => !canBe(one, wanted));
  if (other !== undefined)
    return `has ${describePartition(other.one)} to keep, which is to be ${other.wanted.fs ?? 'another'}`;
  const persist = there.filter(({ one, wanted }) => wanted.kind === 'persist' && canBe(one, wanted));
  const withPersist = planNew(disk, layout, neededBytes, partitionsOf([...new Set([...kept, ...persist])]));
  return typeof withPersist === 'string'
    ? planNew(disk, layout, neededBytes, partitionsOf(kept))
    : withPersist;
}

function partitionsOf(found: readonly { one: PartitionFacts }[]): PartitionFacts[] {
  return found.map(({ one }) => one);
}

function planNew(
  disk: DiskFacts,
  layout: Layout,
  neededBytes: number,
  staying: PartitionFacts[],
): DiskPlan | string {
  const partitions = placed(disk, layout, neededBytes, staying);
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
  { partitions: wanted }: Layout,
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
