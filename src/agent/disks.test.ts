import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, open, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { z } from 'zod';
import { ProgramFailed, run } from '../system/run.ts';
import { PARTITIONS } from '../slot/partitions.ts';
import { planDisk, type DiskPlan, type PartitionFacts } from './disk-layout.ts';
import { inspectDisks, layOutDisk, makeFileSystems, writeTable } from './disks.ts';

const GiB = 1024 ** 3;
const BYTES = 3 * GiB;

/** A sparse file that the kernel shows as a disk. */
async function loopDevice(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-disks-'));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  const image = join(directory, 'disk');
  await (await open(image, 'w')).close();
  await truncate(image, BYTES);
  const { stdout } = await run('losetup', ['--find', '--show', '--partscan', image]);
  const device = stdout.trim();
  t.after(async () => await run('losetup', ['--detach', device]));
  return device;
}

/** For a loop device, which inspectDisks passes over: to lsblk it is no disk. */
function planFor(path: string): DiskPlan {
  const blank = { readOnly: false, removable: false, partitions: [], signatures: [], written: false };
  return planDisk([{ path, bytes: BYTES, ...blank }], 512 * 1024 ** 2, 0);
}

const tableSchema = z.object({
  partitiontable: z.object({
    label: z.string(),
    partitions: z.array(
      z.object({ node: z.string(), name: z.string(), type: z.string(), start: z.number(), size: z.number() }),
    ),
  }),
});

async function readTable(device: string): Promise<z.infer<typeof tableSchema>['partitiontable']> {
  const { stdout } = await run('sfdisk', ['--json', device]);
  return tableSchema.parse(JSON.parse(stdout)).partitiontable;
}

/** Partitions as the table has them; a kernel built without GPT, as small virtual machines run it, is told of them. */
async function showPartitions(device: string): Promise<PartitionFacts[]> {
  if (!existsSync(`${device}p1`)) await run('partx', ['--add', device]);
  return (await readTable(device)).partitions.map(({ node, name }) => ({ path: node, name }));
}

async function fileSystem(device: string): Promise<Record<string, string>> {
  try {
    const { stdout } = await run('blkid', ['--probe', '--output', 'export', device]);
    return Object.fromEntries(stdout.split('\n').map((line) => line.split('=', 2)));
  } catch (error) {
    if (error instanceof ProgramFailed && error.status === 2) return {};
    throw error;
  }
}

test('the partition table is the one that the plan says, as sfdisk reads it', async (t) => {
  const device = await loopDevice(t);
  await writeTable(device, planFor(device).script);
  const { label, partitions } = await readTable(device);
  assert.equal(label, 'gpt');
  const MiB = 2048;
  // GUIDs: BIOS boot, EFI system, Linux data (UEFI specification 5.3.3, GRUB's manual).
  const linux = '0FC63DAF-8483-4772-8E79-3D69D8477DE4';
  assert.deepEqual(
    partitions.slice(0, 4).map(({ name, type, size }) => [name, type, size / MiB]),
    [
      [PARTITIONS.biosBoot, '21686148-6449-6E6F-744E-656564454649', 2],
      [PARTITIONS.esp, 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B', 512],
      [PARTITIONS.a, linux, 512],
      [PARTITIONS.b, linux, 512],
    ],
  );
  assert.equal(partitions[4]?.name, PARTITIONS.persist);
  assert.ok(partitions[4].size * 512 > GiB);
  assert.ok(partitions.every(({ start }) => start % MiB === 0));
});

test('boot area and persistent partition get their file systems, slots not yet', async (t) => {
  const device = await loopDevice(t);
  await writeTable(device, planFor(device).script);
  const disk = await makeFileSystems(device, await showPartitions(device));
  assert.deepEqual(disk, {
    path: device,
    esp: `${device}p2`,
    a: `${device}p3`,
    b: `${device}p4`,
    persist: `${device}p5`,
  });
  const esp = await fileSystem(disk.esp);
  assert.deepEqual([esp['TYPE'], esp['VERSION'], esp['LABEL']], ['vfat', 'FAT32', 'BLADEROOT']);
  assert.equal((await fileSystem(disk.persist))['TYPE'], 'ext4');
  assert.equal(
    (await fileSystem(disk.a))['TYPE'],
    undefined,
    'a slot gets its file system when it is installed',
  );
});

test('what persists survives every further run, and what an interrupted run left undone is made up for', async (t) => {
  const device = await loopDevice(t);
  await writeTable(device, planFor(device).script);
  const partitions = await showPartitions(device);
  const disk = await makeFileSystems(device, partitions);
  const { UUID: uuid } = await fileSystem(disk.persist);
  assert.ok(uuid !== undefined);

  await run('wipefs', ['--all', '--quiet', disk.esp]);
  await makeFileSystems(device, partitions);
  assert.equal((await fileSystem(disk.esp))['TYPE'], 'vfat');
  assert.equal((await fileSystem(disk.persist))['UUID'], uuid);
});

test('old file systems where the new partitions lie are not taken for new ones', async (t) => {
  const device = await loopDevice(t);
  const { script } = planFor(device);
  await writeTable(device, script);
  const partitions = await showPartitions(device);
  const { persist } = await makeFileSystems(device, partitions);
  const { UUID: old } = await fileSystem(persist);
  // As after `wipefs --all` of the disk, and a disk that is blank but for what lies in its middle.
  await run('partx', ['--delete', device]);
  await run('wipefs', ['--all', '--quiet', device]);
  await writeTable(device, script);
  await makeFileSystems(device, await showPartitions(device));
  const { UUID: uuid } = await fileSystem(persist);
  assert.ok(uuid !== undefined && uuid !== old);
});

test('a disk that lacks a partition is refused by its name', async () => {
  await assert.rejects(makeFileSystems('/dev/none', []), {
    code: 'NO_PARTITION',
    message: '/dev/none has no partition bladeroot-esp',
  });
});

test('a plan is carried out in one go where the kernel knows GPT, and kept by the next run', async (t) => {
  const device = await loopDevice(t);
  const plan = planFor(device);
  await writeTable(device, plan.script);
  if (!existsSync(`${device}p1`)) return t.skip('this kernel is built without GPT (CONFIG_EFI_PARTITION)');
  // The run before was cut off right after the table.
  const kept: DiskPlan = { ...plan, action: 'keep', script: '' };
  const disk = await layOutDisk(kept);
  const { UUID: uuid } = await fileSystem(disk.persist);
  assert.deepEqual(await layOutDisk(kept), disk);
  assert.equal((await fileSystem(disk.persist))['UUID'], uuid);
});

test('loop devices are no disks, and a disk that cannot be read does not hide the others', async (t) => {
  const device = await loopDevice(t);
  const disks = await inspectDisks();
  assert.ok(!disks.some(({ path }) => path === device));
  for (const { path, bytes, unreadable, written } of disks) {
    assert.match(path, /^\/dev\//);
    assert.ok(bytes > 0);
    if (unreadable !== undefined) assert.ok(written);
  }
});
