/** Looks at a machine's disks, and lays one out. */
import { open } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { BladerootError } from '../errors.ts';
import { run } from '../system/run.ts';
import {
  isLaidOut,
  lsblkSchema,
  PARTITIONS,
  type DiskFacts,
  type DiskPlan,
  type PartitionFacts,
} from './disk-layout.ts';

/** How much of a disk's start is looked at for data of an unknown kind. */
const LOOKED_AT = 1024 * 1024;

/** All disks that the kernel knows, in the order of its names. */
export async function inspectDisks(): Promise<DiskFacts[]> {
  const columns = 'PATH,TYPE,SIZE,RO,RM,PARTLABEL,FSTYPE';
  const { stdout } = await run('lsblk', ['--json', '--bytes', '--output', columns]);
  const { blockdevices } = lsblkSchema.parse(JSON.parse(stdout));
  const disks = blockdevices.filter(({ type, size }) => type === 'disk' && size > 0);
  return await Promise.all(
    disks.map(async (disk) => ({
      path: disk.path,
      bytes: disk.size,
      readOnly: disk.ro,
      removable: disk.rm,
      partitions: (disk.children ?? []).map((partition) => ({
        path: partition.path,
        name: partition.partlabel ?? '',
        fileSystem: partition.fstype ?? undefined,
      })),
      signatures: await signaturesOn(disk.path),
      written: await isWritten(disk.path),
    })),
  );
}

const wipefsSchema = z.object({ signatures: z.array(z.object({ type: z.string() })) });

async function signaturesOn(path: string): Promise<string[]> {
  const { stdout } = await run('wipefs', ['--no-act', '--json', path]);
  if (stdout.trim() === '') return [];
  return [...new Set(wipefsSchema.parse(JSON.parse(stdout)).signatures.map(({ type }) => type))];
}

async function isWritten(path: string): Promise<boolean> {
  const disk = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await disk.read(Buffer.alloc(LOOKED_AT), 0, LOOKED_AT, 0);
    return buffer.subarray(0, bytesRead).some((byte) => byte !== 0);
  } finally {
    await disk.close();
  }
}

export interface BladeDisk {
  path: string;
  /** Devices of the partitions. */
  esp: string;
  a: string;
  b: string;
  persist: string;
}

/**
 * Carries out a plan. What an interrupted run left undone is made up for: partitions without their file system get it.
 * Slots get theirs when they are installed.
 */
export async function layOutDisk(plan: DiskPlan): Promise<BladeDisk> {
  if (plan.action === 'lay-out') {
    // One write of the table, at the end, by sfdisk; before it nothing on the disk has changed.
    await run('sfdisk', ['--quiet', '--wipe', 'always', '--wipe-partitions', 'always', plan.disk.path], {
      input: plan.script,
    });
  }
  const partitions = await partitionsOf(plan.disk.path);
  const find = (name: string): PartitionFacts => {
    const found = partitions.find((partition) => partition.name === name);
    if (found !== undefined) return found;
    throw new BladerootError('NO_PARTITION', `${plan.disk.path} has no partition ${name}`);
  };
  const esp = find(PARTITIONS.esp);
  const persist = find(PARTITIONS.persist);
  if (esp.fileSystem === undefined) {
    await run('mkfs.vfat', ['-F', '32', '-n', 'BLADEROOT', esp.path]);
  }
  if (persist.fileSystem === undefined) await makeExt4(persist.path, PARTITIONS.persist);
  return {
    path: plan.disk.path,
    esp: esp.path,
    a: find(PARTITIONS.a).path,
    b: find(PARTITIONS.b).path,
    persist: persist.path,
  };
}

export async function makeExt4(device: string, label: string): Promise<void> {
  const lazy = 'lazy_itable_init=1,lazy_journal_init=1';
  await run('mkfs.ext4', ['-q', '-F', '-m', '1', '-L', label, '-E', lazy, device]);
}

/** The kernel makes the devices of new partitions a moment after sfdisk has ended. */
async function partitionsOf(disk: string): Promise<PartitionFacts[]> {
  for (let tries = 0; tries < 100; tries++) {
    const found = (await inspectDisks()).find(({ path }) => path === disk);
    if (found !== undefined && isLaidOut(found)) return found.partitions;
    await wait(100);
  }
  throw new BladerootError('NO_PARTITION', `the kernel does not show the new partitions of ${disk}`, {
    hint: 'look at `dmesg`: another program may be using the disk',
  });
}
