/** What becomes of a machine's disks: facts and a layout in, a plan out. Pure. */
import type { FileSystem } from '../fleet/disk-fields.ts';
import type { Layout, PartitionKind } from '../fleet/layout.ts';
import type { DiskFacts } from '../fleet/machine.ts';
import { candidates, isHalf, isLaidOut, unfit } from './choose.ts';
import { fingerprintOf } from './fingerprint.ts';
import { planMirror } from './mirror.ts';
import { planWiped, planWithoutLoss } from './one-disk.ts';
import { listed } from './wording.ts';

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

export interface OneDiskPlan {
  /** `keep`: nothing is to be written; `lay-out`: the disk is divided anew; `change`: what is there stays. */
  action: 'keep' | 'lay-out' | 'change';
  disk: DiskFacts;
  /** All that are on the disk afterwards, by where they begin; those of others than bladeroot where it keeps them. */
  partitions: PlannedPartition[];
  /** What is lost, in words; nothing unless it was allowed. */
  loses: string[];
}

/** Of a layout on two disks, what is said of the disk is said of the mirror; one that is not there yet is a blank disk. */
export interface DiskPlan extends OneDiskPlan {
  mirror?: MirrorPlan;
  /** What could be done besides if it were allowed: another disk could become the half that is missing. */
  ifWiped?: Refusal['ifWiped'];
}

export interface HalfPlan extends OneDiskPlan {
  /** The mirror is there without it, and writes all that it has to it. */
  joins: boolean;
}

/** What is done before the mirror is divided. */
export interface MirrorPlan {
  /** Of the disks that there are, one where the other one is gone. */
  halves: HalfPlan[];
  /** Whether it is made anew. */
  isNew: boolean;
  /** Why it stays without its second half; undefined where it does not. */
  lacks?: string;
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
  if (layout.halves !== undefined)
    return planMirror(disks, { ...layout, halves: layout.halves }, neededBytes);
  const halves = disks.filter((disk) => isHalf(disk));
  if (halves.length > 0) {
    const what = `${listed(halves.map(({ path }) => path))} ${halves.length === 1 ? 'is a half' : 'are halves'} of a mirror`;
    return { action: 'refuse', reasons: [`${what}, and disks.raid does not say 1`] };
  }
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
    const tried = unfit(disk) ?? planWithoutLoss(disk, layout.partitions, neededBytes);
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
    const plan = planWiped(disk, layout.partitions, neededBytes);
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
