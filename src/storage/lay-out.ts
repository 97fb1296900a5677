/** Carries out what was planned for a disk; what an interrupted run left undone is made up for by the next one. */
import { open, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { BladerootError, describeError } from '../errors.ts';
import type { DiskPlan, MirrorPlan, OneDiskPlan, PlannedPartition } from '../disks/plan.ts';
import { sfdiskScript } from '../disks/table.ts';
import { MIRROR_HALF, PARTITIONS } from '../fleet/layout.ts';
import type { PartitionFacts } from '../fleet/machine.ts';
import { run } from '../system/run.ts';
import { inspectContents } from './inspect.ts';
import { createMirror, joinMirror, requireMdadm, stopMirrorsOn } from './mirror.ts';
import { growFileSystem, makeFileSystem, requirePrograms } from './file-systems.ts';

const MiB = 1024 ** 2;

export interface BladeDisk {
  path: string;
  /** Devices of the partitions: as many as there are disks that the blade starts from. */
  esps: string[];
  a: string;
  b: string;
  persist: string;
  /** All of the disk, or of the mirror, as they are now. */
  partitions: PartitionFacts[];
}

/**
 * @param say for what is worth knowing and stops nothing
 * @throws BladerootError `PROGRAM_MISSING` before anything is written, `NO_PARTITION`, `PROGRAM_FAILED`
 */
export async function layOutDisk(plan: DiskPlan, say: (line: string) => void): Promise<BladeDisk> {
  const { path } = plan.disk;
  await requirePrograms(plan.partitions);
  const halves = plan.mirror && (await layOutMirror(plan, plan.mirror, say));
  const made = await layOutOne(plan, say);
  const find = (name: string): string => partitionNamed(path, made, name).path;
  return {
    path,
    esps: halves?.map(({ esp }) => esp) ?? [find(PARTITIONS.esp)],
    a: find(PARTITIONS.a),
    b: find(PARTITIONS.b),
    persist: find(PARTITIONS.persist),
    partitions: made,
  };
}

/** A disk that a blade starts from, and has a half of its mirror on: devices of its partitions. */
interface Half {
  esp: string;
  half: string;
}

/** Brings both disks to have their halves, and these into the mirror; what the mirror itself has on it stays as it is. */
export async function layOutMirror(
  { disk }: Pick<DiskPlan, 'disk'>,
  { halves, isNew }: MirrorPlan,
  say: (line: string) => void,
): Promise<Half[]> {
  await requireMdadm();
  const made: Half[] = [];
  for (const plan of halves) {
    const { path } = plan.disk;
    if (isNew || plan.action === 'lay-out') await stopMirrorsOn(plan.disk);
    const partitions = await layOutOne(plan, say);
    const half = partitionNamed(path, partitions, MIRROR_HALF).path;
    made.push({ esp: partitionNamed(path, partitions, PARTITIONS.esp).path, half });
    if (plan.joins) await joinMirror(disk.path, half);
  }
  if (isNew) {
    await createMirror(
      { disk },
      made.map(({ half }) => half),
    );
  }
  return made;
}

/** @returns its partitions, as they are then */
async function layOutOne(plan: OneDiskPlan, say: (line: string) => void): Promise<PartitionFacts[]> {
  const { path } = plan.disk;
  if (plan.partitions.some(({ change }) => change === 'new' || change === 'grow')) await writeTable(plan);
  const { partitions } = await inspectContents(path);
  for (const partition of partitions) await awaitDevice(partition);
  await makeFileSystems(plan, partitions, say);
  return (await inspectContents(path)).partitions;
}

/**
 * One write of the table, at the end, by sfdisk; before it nothing that counts has changed: what the new partitions will
 * have at their ends is erased first, so that no old file system is taken for one that was made since.
 */
export async function writeTable({ disk, partitions, action }: Omit<OneDiskPlan, 'loses'>): Promise<void> {
  const device = await open(disk.path, 'r+');
  try {
    for (const { start, bytes, change } of partitions) {
      if (change !== 'new') continue;
      const zeros = Buffer.alloc(Math.min(MiB, bytes));
      await device.write(zeros, 0, zeros.length, start);
      await device.write(zeros, 0, zeros.length, start + bytes - zeros.length);
    }
    await device.sync();
  } finally {
    await device.close();
  }
  const isNew = action === 'lay-out' && partitions.every(({ change }) => change === 'new');
  const wipe = ['--wipe', isNew ? 'always' : 'never', '--wipe-partitions', 'never'];
  await run('sfdisk', ['--quiet', ...wipe, disk.path], { input: sfdiskScript({ disk, partitions }) });
}

/** Slots get theirs when they are installed. */
export async function makeFileSystems(
  { disk, partitions: planned }: Pick<OneDiskPlan, 'disk' | 'partitions'>,
  partitions: readonly PartitionFacts[],
  say: (line: string) => void,
): Promise<void> {
  for (const one of planned) {
    if (one.fs === undefined) continue;
    const { path } = partitionNamed(disk.path, partitions, one.name);
    if (one.change === 'new' || one.change === 'format') await makeFileSystem(one.fs, path, labelOf(one));
    else if (!one.untouchable) await grow(one, one.fs, path, say);
  }
}

/** Also where the table says so already: the power may have failed between the two. */
async function grow(
  { name, change }: PlannedPartition,
  fs: NonNullable<PlannedPartition['fs']>,
  path: string,
  say: (line: string) => void,
): Promise<void> {
  try {
    await growFileSystem(fs, path, { hasGrown: change === 'grow' });
  } catch (error) {
    if (change === 'grow') throw error;
    say(`the file system of ${name} cannot be looked at: ${describeError(error)}`);
  }
}

function labelOf({ label, kind }: PlannedPartition): string | undefined {
  return kind === 'persist' ? PARTITIONS.persist.slice(0, 16) : label;
}

function partitionNamed(disk: string, partitions: readonly PartitionFacts[], name: string): PartitionFacts {
  const found = partitions.find((partition) => partition.name === name);
  if (found !== undefined) return found;
  throw new BladerootError('NO_PARTITION', `${disk} has no partition ${name}`);
}

/** The kernel makes the devices of new partitions a moment after sfdisk has ended. */
async function awaitDevice({ path, bytes }: PartitionFacts): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const sectors = await readFile(`/sys/class/block/${basename(path)}/size`, 'utf8').catch(() => '');
    if (Number(sectors) * 512 === bytes) return;
    await wait(100);
  }
  throw new BladerootError(
    'NO_PARTITION',
    `the kernel does not show ${path} as the table of its disk says it`,
    {
      hint: 'look at `dmesg`: another program may be using the disk',
    },
  );
}
