/** For tests: a sparse file that the kernel shows as a disk. */
import { existsSync } from 'node:fs';
import { mkdtemp, open, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { disksSchema } from '../fleet/disk-fields.ts';
import { layoutOf } from '../fleet/layout.ts';
import type { DiskFacts, PartitionFacts } from '../fleet/machine.ts';
import { planDisks, type DiskPlan } from '../disks/plan.ts';
import { ProgramFailed, run } from '../system/run.ts';
import { inspectContents } from './inspect.ts';

export interface LoopDisk {
  device: string;
  /** The file itself. */
  image: string;
  bytes: number;
}

export async function loopDisk(t: TestContext, bytes: number): Promise<LoopDisk> {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-disks-'));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  const image = join(directory, 'disk');
  await (await open(image, 'w')).close();
  await truncate(image, bytes);
  const { stdout } = await run('losetup', ['--find', '--show', '--partscan', image]);
  const device = stdout.trim();
  t.after(async () => await run('losetup', ['--detach', device]));
  return { device, image, bytes };
}

/** As `inspectDisks` would find it, which passes over loop devices. */
export async function inspectLoop({ device, bytes }: LoopDisk): Promise<DiskFacts> {
  return { path: device, bytes, rotational: false, contents: await inspectContents(device) };
}

/** @throws Error when it is refused */
export async function planLoop(disk: LoopDisk, disks: object, neededBytes = 0): Promise<DiskPlan> {
  const layout = layoutOf(disksSchema.parse(disks));
  const plan = planDisks([await inspectLoop(disk)], layout, neededBytes);
  if (plan.action === 'refuse') throw new Error(plan.reasons.join('; '));
  return plan;
}

/** Partitions as the table has them; a kernel built without GPT, as small virtual machines run it, is told of them. */
export async function showPartitions({ device }: LoopDisk): Promise<PartitionFacts[]> {
  const { partitions } = await inspectContents(device);
  const [first] = partitions;
  if (first !== undefined && !existsSync(first.path)) await run('partx', ['--add', device]);
  return partitions;
}

/** Where the kernel was told of them, it does not see by itself that they have changed. */
export async function hidePartitions({ device }: LoopDisk): Promise<void> {
  await run('partx', ['--delete', device]);
}

/** What blkid says of a device, by its keys. */
export async function probe(device: string): Promise<Record<string, string>> {
  try {
    const { stdout } = await run('blkid', ['--probe', '--output', 'export', device]);
    return Object.fromEntries(stdout.split('\n').map((line) => line.split('=', 2)));
  } catch (error) {
    if (error instanceof ProgramFailed && error.status === 2) return {};
    throw error;
  }
}
