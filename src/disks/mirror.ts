/** What becomes of two disks that are mirrors of each other: facts and a layout in, a plan out. Pure. */
import { MIRROR_HALF, type Layout, type WantedPartition } from '../fleet/layout.ts';
import type { DiskFacts } from '../fleet/machine.ts';
import { inOrderOf, isHalf, isLaidOut, matches, unfit } from './choose.ts';
import { fingerprintOf } from './fingerprint.ts';
import { planNew, planWiped, planWithoutLoss } from './one-disk.ts';
import { MiB } from './place.ts';
import type { DiskPlan, HalfPlan, OneDiskPlan, Refusal } from './plan.ts';
import { describeContents, describePartition, gibibytes, listed } from './wording.ts';

/** Where what is mirrored begins in a half: before it is what mdadm keeps there (metadata 1.2). */
export const DATA_OFFSET = 16 * MiB;
/** What is left of the smaller half, so that a disk that comes in its place may be a little smaller. */
const SPARE_BYTES = 64 * MiB;
/** The device of a mirror; the same wherever it is started. */
export const MIRROR_DEVICE = '/dev/md127';

export type MirrorLayout = Layout & { halves: WantedPartition[] };

/**
 * A mirror begins with two disks. Once it is there it goes on with one, and takes what is blank, or was a half of it, in
 * the place of the other. A disk that carries anything else is wiped only as `layout.wipe` allows: in the place of a half
 * that is gone by its fingerprint alone, as `always` may mean a disk that has nothing to do with the mirror.
 */
export function planMirror(
  disks: readonly DiskFacts[],
  layout: MirrorLayout,
  neededBytes: number,
): DiskPlan | Refusal {
  const mirrors = disks.filter((disk) => disk.mirror !== undefined);
  const others = disks.filter((disk) => disk.mirror === undefined);
  const [mirror, second] = mirrors;
  if (second !== undefined) return refused([`${listed(mirrors.map(mirrorText))}: it can have one`]);
  return mirror === undefined
    ? planNewMirror(others, layout, neededBytes)
    : planOldMirror(mirror, others, layout, neededBytes);
}

function refused(reasons: string[], ifWiped?: Refusal['ifWiped']): Refusal {
  return { action: 'refuse', reasons, ...(ifWiped === undefined ? {} : { ifWiped }) };
}

function mirrorText({ mirror }: DiskFacts): string {
  return `a mirror of bladeroot is on ${listed(mirror?.halves ?? [])}`;
}

function planNewMirror(
  disks: readonly DiskFacts[],
  layout: MirrorLayout,
  neededBytes: number,
): DiskPlan | Refusal {
  const meant = disks.filter((disk) => matches(disk, layout.use));
  const elsewhere = disks.find((disk) => isLaidOut(disk) && !meant.includes(disk));
  if (elsewhere !== undefined)
    return refused([`${elsewhere.path} is laid out already, and is not what disks.use says`]);
  const fit = meant.filter((disk) => unfit(disk) === undefined);
  // One that is laid out is never left beside the mirror: there would be two of all its partitions.
  const ours = fit.filter((disk) => isHalf(disk) || isLaidOut(disk));
  const rest = fit.filter((disk) => !ours.includes(disk));
  const chosen = [...ours, ...inOrderOf(rest, layout.use, 2)].slice(0, 2);
  if (chosen.length < 2) return refused([...unfitTexts(meant), tooFew(disks.length, chosen)]);
  const tried = chosen.map((disk) => ({ disk, plan: planHalf(disk, layout, undefined) }));
  const wrong = tried.flatMap(({ disk, plan }) => (typeof plan === 'string' ? [{ disk, why: plan }] : []));
  const reasons = wrong.map(({ disk, why }) => `${disk.path} ${why}`);
  const halves = tried.map(({ disk, plan }) =>
    typeof plan === 'string' ? planWipedHalf(disk, layout) : plan,
  );
  const problem = halves.find((half) => typeof half === 'string');
  if (problem !== undefined) return refused([...reasons, problem]);
  const plan = newMirror(
    halves.filter((half) => typeof half !== 'string'),
    layout,
    neededBytes,
  );
  if (typeof plan === 'string') return refused([...reasons, plan]);
  if (wrong.length === 0) return plan;
  const fingerprint = fingerprintOf(...wrong.map(({ disk }) => disk));
  if (layout.wipe === 'always' || layout.wipe === fingerprint) return plan;
  return refused(reasons, { plan, fingerprint });
}

function unfitTexts(disks: readonly DiskFacts[]): string[] {
  return disks.flatMap((disk) => {
    const why = unfit(disk);
    return why === undefined ? [] : [`${disk.path} ${why}`];
  });
}

function tooFew(count: number, [only]: readonly DiskFacts[]): string {
  const has = only === undefined ? 'none' : `only ${only.path}`;
  return `disks.raid: 1 begins with two disks, and of the ${count} here ${has} is what disks.use says`;
}

/** @returns why it cannot be had, for a sentence of its own */
function newMirror(halves: OneDiskPlan[], layout: MirrorLayout, neededBytes: number): DiskPlan | string {
  const least = Math.min(...halves.map(halfBytes));
  const bytes = Math.max(0, Math.floor(least / MiB) * MiB - DATA_OFFSET - SPARE_BYTES);
  const contents: DiskFacts['contents'] = {
    // The coarser one is the mirror's.
    sectorBytes: Math.max(...halves.map(({ disk }) => disk.contents.sectorBytes)),
    readOnly: false,
    removable: false,
    partitions: [],
    signatures: [],
    written: false,
    digest: '',
  };
  const rotational = halves.some(({ disk }) => disk.rotational);
  const inner = planNew(
    { path: MIRROR_DEVICE, bytes, rotational, contents },
    layout.partitions,
    neededBytes,
    [],
  );
  const paths = listed(halves.map(({ disk }) => disk.path));
  if (typeof inner === 'string') return `a mirror of ${paths} ${inner}`;
  return {
    ...inner,
    loses: halves.flatMap(lossesOf),
    mirror: { isNew: true, halves: halves.map((half) => ({ ...half, joins: false })) },
  };
}

function halfBytes({ partitions }: OneDiskPlan): number {
  return partitions.find(({ name }) => name === MIRROR_HALF)?.bytes ?? 0;
}

function planOldMirror(
  mirror: DiskFacts,
  disks: readonly DiskFacts[],
  layout: MirrorLayout,
  neededBytes: number,
): DiskPlan | Refusal {
  const paths = mirror.mirror?.halves ?? [];
  const inIt = disks.filter(({ contents }) => contents.partitions.some(({ path }) => paths.includes(path)));
  const outside = disks.filter((disk) => !inIt.includes(disk));
  const plain = outside.find(isLaidOut);
  if (plain !== undefined)
    return refused([
      `${plain.path} is laid out without a mirror, and ${mirrorText(mirror)}: it can have one`,
    ]);
  if (!inIt.some((disk) => matches(disk, layout.use)))
    return refused([`${mirrorText(mirror)}, and that is not what disks.use says`]);
  const halves: HalfPlan[] = [];
  for (const disk of inIt) {
    const plan = planWithoutLoss(disk, layout.halves, 0);
    if (typeof plan === 'string') return refused([`${disk.path} ${plan}`]);
    halves.push({ ...plan, joins: false });
  }
  const { half, lacks, wiped } = paths.length < 2 ? otherHalf(mirror, outside, layout) : NOTHING_MISSING;
  const whole = (inner: OneDiskPlan, added: HalfPlan | undefined): DiskPlan =>
    oldMirror(
      inner,
      [...halves, ...(added === undefined ? [] : [added])],
      added === undefined ? lacks : undefined,
    );
  const inner = planWithoutLoss(mirror, layout.partitions, neededBytes);
  if (typeof inner !== 'string') {
    const plan = whole(inner, half);
    if (wiped === undefined) return plan;
    const fingerprint = fingerprintOf(wiped.disk);
    const withIt = whole(inner, wiped);
    return layout.wipe === fingerprint ? withIt : { ...plan, ifWiped: { plan: withIt, fingerprint } };
  }
  const reasons = [`${mirror.path} ${inner}`];
  const anew = planWiped(mirror, layout.partitions, neededBytes);
  if (typeof anew === 'string') return refused([...reasons, `${mirror.path}, if it were wiped, ${anew}`]);
  const fingerprint = fingerprintOf(mirror);
  const plan = whole(anew, half);
  if (layout.wipe === 'always' || layout.wipe === fingerprint) return plan;
  return refused(reasons, { plan, fingerprint });
}

function oldMirror(inner: OneDiskPlan, halves: HalfPlan[], lacks: string | undefined): DiskPlan {
  const isKept = halves.every(({ action, joins }) => action === 'keep' && !joins);
  return {
    ...inner,
    action: inner.action === 'keep' && !isKept ? 'change' : inner.action,
    loses: [...inner.loses, ...halves.flatMap(lossesOf)],
    mirror: { isNew: false, halves, ...(lacks === undefined ? {} : { lacks }) },
  };
}

function lossesOf({ disk, loses }: OneDiskPlan): string[] {
  return loses.map((thing) => `${disk.path}: ${thing}`);
}

interface OtherHalf {
  half?: HalfPlan;
  /** Why there is none. */
  lacks?: string;
  /** What would be, if the disk might be wiped. */
  wiped?: HalfPlan;
}

const NOTHING_MISSING: OtherHalf = {};

/** What takes the place of the half that is gone: one that has been it before what is blank. */
function otherHalf(mirror: DiskFacts, disks: readonly DiskFacts[], layout: MirrorLayout): OtherHalf {
  const meant = disks.filter((disk) => matches(disk, layout.use));
  const fit = meant.filter((disk) => unfit(disk) === undefined);
  const was = fit.filter((disk) => isHalfOf(disk, mirror));
  const rest = fit.filter((disk) => !was.includes(disk));
  const reasons = unfitTexts(meant);
  let wiped: HalfPlan | undefined;
  for (const disk of [...was, ...inOrderOf(rest, layout.use, 1)]) {
    const half = planHalf(disk, layout, mirror);
    if (typeof half !== 'string') return { half: { ...half, joins: true } };
    reasons.push(`${disk.path} ${half}`);
    const anew = planNew(disk, layout.halves, 0, []);
    if (typeof anew !== 'string' && isLargeEnough(anew, mirror)) wiped ??= { ...anew, joins: true };
  }
  if (reasons.length === 0) reasons.push('there is no other disk that is what disks.use says');
  return { lacks: reasons.join('; '), ...(wiped === undefined ? {} : { wiped }) };
}

/**
 * A disk as it can be a half without a loss.
 * @param mirror whose half it is to be; undefined for a new one
 * @returns why it cannot, for a sentence that begins with the disk's path
 */
function planHalf(
  disk: DiskFacts,
  { halves }: MirrorLayout,
  mirror: DiskFacts | undefined,
): OneDiskPlan | string {
  if (isHalf(disk) && !isHalfOf(disk, mirror))
    return `is a half of another mirror, or of one that cannot be started: ${describeContents(disk).join(', ')}`;
  const plan = planWithoutLoss(disk, halves, 0);
  if (typeof plan === 'string' || mirror === undefined || isLargeEnough(plan, mirror)) return plan;
  return `is too small: a half of it would have ${gibibytes(halfBytes(plan))}, and ${mirror.path} has ${gibibytes(mirror.bytes)}`;
}

/** Whether it is laid out as a half, and what it has there is this mirror's, or nothing. */
function isHalfOf(disk: DiskFacts, mirror: DiskFacts | undefined): boolean {
  const half = disk.contents.partitions.find(({ name }) => name === MIRROR_HALF);
  if (!isHalf(disk) || half === undefined) return false;
  return half.blank || (half.array !== undefined && half.array === mirror?.mirror?.uuid);
}

function isLargeEnough(half: OneDiskPlan, { bytes }: DiskFacts): boolean {
  return halfBytes(half) - DATA_OFFSET >= bytes;
}

/** A disk with all that is on it given up for a half of a new mirror. @returns why it cannot be, as a sentence */
function planWipedHalf(disk: DiskFacts, { halves, partitions }: MirrorLayout): OneDiskPlan | string {
  const kept = disk.contents.partitions.find(({ name, blank }) =>
    partitions.some((wanted) => wanted.keep && wanted.name === name && !blank),
  );
  if (kept !== undefined)
    return `${disk.path} has ${describePartition(kept)} to keep, and that cannot become a mirror as it is`;
  const plan = planNew(disk, halves, 0, []);
  return typeof plan === 'string' ? `${disk.path}, if it were wiped, ${plan}` : plan;
}
