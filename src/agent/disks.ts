/** Looks at a machine's disks, and lays one out. */
import { open, readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { BladerootError, describeError } from '../errors.ts';
import { makeExt4 } from '../slot/file-system.ts';
import { PARTITIONS } from '../slot/partitions.ts';
import { ProgramFailed, run } from '../system/run.ts';
import { isLaidOut, type DiskFacts, type DiskPlan, type PartitionFacts } from './disk-layout.ts';

/** How much of a disk's start is looked at for data of an unknown kind. */
const LOOKED_AT = 1024 * 1024;

const lsblkSchema = z.object({
  blockdevices: z.array(
    z.object({ path: z.string(), type: z.string(), size: z.number(), ro: z.boolean(), rm: z.boolean() }),
  ),
});

/** All disks that the kernel knows, in the order of its names. */
export async function inspectDisks(): Promise<DiskFacts[]> {
  const columns = 'PATH,TYPE,SIZE,RO,RM';
  const { stdout } = await run('lsblk', ['--json', '--bytes', '--nodeps', '--output', columns]);
  const { blockdevices } = lsblkSchema.parse(JSON.parse(stdout));
  const disks = blockdevices.filter(({ type, size }) => type === 'disk' && size > 0);
  return await Promise.all(
    disks.map(async ({ path, size, ro, rm }) => {
      const facts = { path, bytes: size, readOnly: ro, removable: rm, partitions: await partitionsOf(path) };
      try {
        return { ...facts, signatures: await signaturesOn(path), written: await isWritten(path) };
      } catch (error) {
        // A broken disk does not keep the blade from using another.
        return { ...facts, signatures: [], written: true, unreadable: describeError(error) };
      }
    }),
  );
}

/**
 * The partitions of a disk as the kernel has them, in sysfs: lsblk knows their names only from udev, which does not run in
 * the initrd.
 */
async function partitionsOf(disk: string): Promise<PartitionFacts[]> {
  const folder = join('/sys/class/block', basename(disk));
  const found: PartitionFacts[] = [];
  for (const name of (await readdir(folder)).sort()) {
    const uevent = await readFile(join(folder, name, 'uevent'), 'utf8').catch(() => '');
    if (!uevent.includes('DEVTYPE=partition')) continue;
    const value = (key: string): string | undefined => new RegExp(`^${key}=(.*)$`, 'm').exec(uevent)?.[1];
    found.push({ path: `/dev/${value('DEVNAME') ?? name}`, name: value('PARTNAME') ?? '' });
  }
  return found;
}

/** The file system on a device, as blkid names it. */
export async function fileSystemOn(path: string): Promise<string | undefined> {
  try {
    const { stdout } = await run('blkid', ['--probe', '--output', 'export', path]);
    return /^TYPE=(.*)$/m.exec(stdout)?.[1];
  } catch (error) {
    if (error instanceof ProgramFailed && error.status === BLKID_NOTHING) return undefined;
    throw error;
  }
}

/** blkid's exit status when it finds nothing. */
const BLKID_NOTHING = 2;

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

/** Carries out a plan; what an interrupted run left undone is made up for. */
export async function layOutDisk(plan: DiskPlan): Promise<BladeDisk> {
  const { path } = plan.disk;
  if (plan.action === 'lay-out') await writeTable(path, plan.script);
  return await makeFileSystems(path, await newPartitionsOf(path));
}

/** One write of the table, at the end, by sfdisk; before it nothing on the disk has changed. */
export async function writeTable(disk: string, script: string): Promise<void> {
  await run('sfdisk', ['--quiet', '--wipe', 'always', '--wipe-partitions', 'always', disk], {
    input: script,
  });
}

/** Boot area and persistent partition get a file system unless they have one; slots when they are installed. */
export async function makeFileSystems(disk: string, partitions: PartitionFacts[]): Promise<BladeDisk> {
  const find = (name: string): PartitionFacts => {
    const found = partitions.find((partition) => partition.name === name);
    if (found !== undefined) return found;
    throw new BladerootError('NO_PARTITION', `${disk} has no partition ${name}`);
  };
  const esp = find(PARTITIONS.esp);
  const persist = find(PARTITIONS.persist);
  if ((await fileSystemOn(esp.path)) === undefined) {
    await run('mkfs.vfat', ['-F', '32', '-n', 'BLADEROOT', esp.path]);
  }
  if ((await fileSystemOn(persist.path)) === undefined) await makeExt4(persist.path, PARTITIONS.persist);
  return {
    path: disk,
    esp: esp.path,
    a: find(PARTITIONS.a).path,
    b: find(PARTITIONS.b).path,
    persist: persist.path,
  };
}

/** The kernel makes the devices of new partitions a moment after sfdisk has ended. */
async function newPartitionsOf(disk: string): Promise<PartitionFacts[]> {
  for (let tries = 0; tries < 100; tries++) {
    const partitions = await partitionsOf(disk);
    if (isLaidOut({ partitions })) return partitions;
    await wait(100);
  }
  throw new BladerootError('NO_PARTITION', `the kernel does not show the new partitions of ${disk}`, {
    hint: 'look at `dmesg`: another program may be using the disk',
  });
}
