import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, statfs, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { run } from '../system/run.ts';
import { inspectContents } from './inspect.ts';
import { requirePrograms } from './file-systems.ts';
import { layOutDisk, makeFileSystems, writeTable } from './lay-out.ts';
import {
  hidePartitions,
  loopDisk,
  planLoop,
  probe,
  showPartitions,
  type LoopDisk,
} from './loop-disk.fixture.ts';
import type { DiskPlan } from '../disks/plan.ts';

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;
const SMALL = { slot: '256MiB' };

const nothing = (line: string): void => assert.fail(line);

/** What `layOutDisk` does, on a kernel that may have to be told of partitions. */
async function layOut(disk: LoopDisk, plan: DiskPlan): Promise<Record<string, string>> {
  if (plan.partitions.some(({ change }) => change === 'new' || change === 'grow')) {
    if (plan.disk.contents.partitions.length > 0) await hidePartitions(disk);
    await writeTable(plan);
  }
  const partitions = await showPartitions(disk);
  await makeFileSystems(plan, partitions, nothing);
  return Object.fromEntries(partitions.map(({ name, path }) => [name.replace('bladeroot-', ''), path]));
}

async function mounted<T>(
  t: TestContext,
  device: string,
  work: (directory: string) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-mount-'));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  await run('mount', [device, directory]);
  try {
    return await work(directory);
  } finally {
    await run('umount', [directory]);
  }
}

async function digest(device = ''): Promise<string> {
  return (await run('sha256sum', [device])).stdout.slice(0, 64);
}

/** The UUIDs of the file systems in `data` and `persist`. */
async function ids(devices: Record<string, string>): Promise<(string | undefined)[]> {
  return await Promise.all(
    ['data', 'persist'].map(async (name) => (await probe(devices[name] ?? ''))['UUID']),
  );
}

test('the table is the one that was planned, as sfdisk reads it, and the next plan is to keep it', async (t) => {
  const disk = await loopDisk(t, 3 * GiB);
  const plan = await planLoop(disk, SMALL);
  await writeTable(plan);
  const { table, partitions } = await inspectContents(disk.device);
  assert.equal(table, 'gpt');
  const linux = '0FC63DAF-8483-4772-8E79-3D69D8477DE4';
  assert.deepEqual(
    partitions.map(({ name, type, start, bytes }) => [name, type, start / MiB, bytes / MiB]),
    [
      ['bladeroot-bios', '21686148-6449-6E6F-744E-656564454649', 1, 2],
      ['bladeroot-esp', 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B', 3, 512],
      ['bladeroot-a', linux, 515, 256],
      ['bladeroot-b', linux, 771, 256],
      ['bladeroot-persist', linux, 1027, 3072 - 1027 - 1],
    ],
  );
  const again = await planLoop(disk, SMALL);
  assert.equal(again.action, 'change', 'file systems are missing');
  assert.ok(again.partitions.every(({ change }) => change === 'keep' || change === 'format'));
});

test('every file system of a layout is made, with its label; slots get theirs when they are installed', async (t) => {
  const disk = await loopDisk(t, 4 * GiB);
  const partitions = {
    persist: { size: '1GiB' },
    x: { size: '400MiB', fs: 'xfs', label: 'x-files' },
    b3: { size: '200MiB', fs: 'btrfs', label: 'butter' },
    f: { size: '100MiB', fs: 'vfat', label: 'FAT' },
    s: { size: '64MiB', fs: 'swap', label: 'swp' },
    e: { size: '100MiB', label: 'ext' },
  };
  const layout = { ...SMALL, partitions };
  const devices = await layOut(disk, await planLoop(disk, layout));
  const found = await Promise.all(
    ['esp', 'a', 'b', 'persist', 'x', 'b3', 'f', 's', 'e'].map(async (name) => {
      const { TYPE, LABEL } = await probe(devices[name] ?? '');
      return [name, TYPE, LABEL];
    }),
  );
  assert.deepEqual(found, [
    ['esp', 'vfat', 'BLADEROOT'],
    ['a', undefined, undefined],
    ['b', undefined, undefined],
    ['persist', 'ext4', 'bladeroot-persis'],
    ['x', 'xfs', 'x-files'],
    ['b3', 'btrfs', 'butter'],
    ['f', 'vfat', 'FAT'],
    ['s', 'swap', 'swp'],
    ['e', 'ext4', 'ext'],
  ]);
  assert.equal((await planLoop(disk, layout)).action, 'keep');
});

test('what persists survives every further run, and what an interrupted run left undone is made up for', async (t) => {
  const disk = await loopDisk(t, 3 * GiB);
  const { persist = '', esp = '' } = await layOut(disk, await planLoop(disk, SMALL));
  const { UUID: uuid } = await probe(persist);
  assert.ok(uuid !== undefined);
  await run('dd', ['if=/dev/zero', `of=${esp}`, 'bs=1M', 'count=1', 'conv=fsync', 'status=none']);
  await layOut(disk, await planLoop(disk, SMALL));
  assert.equal((await probe(esp))['TYPE'], 'vfat');
  assert.equal((await probe(persist))['UUID'], uuid);
});

test('old file systems where the new partitions lie are not taken for new ones', async (t) => {
  const disk = await loopDisk(t, 3 * GiB);
  const { persist = '' } = await layOut(disk, await planLoop(disk, SMALL));
  const { UUID: old } = await probe(persist);
  // As after `wipefs --all` of the disk: it is blank but for what lies in its middle.
  await hidePartitions(disk);
  await run('wipefs', ['--all', '--quiet', disk.device]);
  await run('dd', ['if=/dev/zero', `of=${disk.device}`, 'bs=1M', 'count=1', 'conv=fsync', 'status=none']);
  const plan = await planLoop(disk, SMALL);
  assert.equal(plan.action, 'lay-out');
  await writeTable(plan);
  // The power fails before a file system is made.
  await layOut(disk, await planLoop(disk, SMALL));
  const { UUID: uuid } = await probe(persist);
  assert.ok(uuid !== undefined && uuid !== old);
});

test('a disk that has grown: the last file system grows with its partition and keeps its files; each other is as it was', async (t) => {
  const disk = await loopDisk(t, 3 * GiB);
  const layout = { ...SMALL, partitions: { data: { size: '200MiB', keep: true } } };
  const first = await layOut(disk, await planLoop(disk, layout));
  const before = await mounted(t, first['persist'] ?? '', async (directory) => {
    await writeFile(join(directory, 'file'), 'what users keep');
    return (await statfs(directory)).blocks;
  });
  const kept = await digest(first['data']);
  const uuids = (await inspectContents(disk.device)).partitions.map(({ uuid }) => uuid);
  await hidePartitions(disk);
  await truncate(disk.image, 5 * GiB);
  await run('losetup', ['--set-capacity', disk.device]);
  const larger = { ...disk, bytes: 5 * GiB };
  const plan = await planLoop(larger, layout);
  assert.equal(plan.action, 'change');
  await writeTable(plan);
  // The power fails between the table and the file system: the next run finds a partition that is large enough.
  const again = await planLoop(larger, layout);
  assert.equal(again.action, 'keep');
  const { persist = '', data = '' } = await layOut(larger, again);
  await mounted(t, persist, async (directory) => {
    assert.equal(await readFile(join(directory, 'file'), 'utf8'), 'what users keep');
    assert.ok((await statfs(directory)).blocks > 1.9 * before);
  });
  assert.equal(await digest(data), kept);
  assert.deepEqual(
    (await inspectContents(disk.device)).partitions.map(({ uuid }) => uuid),
    uuids,
  );
});

test('a partition more is made beside what is there; a wipe that is allowed leaves what is to be kept', async (t) => {
  const disk = await loopDisk(t, 4 * GiB);
  const data = { size: '200MiB', keep: true };
  const persist = { size: '1GiB' };
  const first = await layOut(disk, await planLoop(disk, { ...SMALL, partitions: { data, persist } }));
  const before = await ids(first);
  const logs = { size: '300MiB' };
  const more = await planLoop(disk, { ...SMALL, partitions: { data, persist, logs } });
  const second = await layOut(disk, more);
  assert.deepEqual(await ids(second), before);
  assert.equal((await probe(second['logs'] ?? ''))['TYPE'], 'ext4');

  await assert.rejects(
    planLoop(disk, { slot: '300MiB', partitions: { data, persist } }),
    /no room behind it/,
  );
  const wiped = await planLoop(disk, { slot: '300MiB', partitions: { data, persist }, wipe: 'always' });
  assert.equal(wiped.action, 'lay-out');
  const third = await layOut(disk, wiped);
  assert.equal((await ids(third))[0], before[0], 'data');
  assert.equal(
    (await inspectContents(disk.device)).partitions.find(({ name }) => name === 'bladeroot-a')?.bytes,
    300 * MiB,
  );
  assert.equal((await planLoop(disk, { slot: '300MiB', partitions: { data, persist } })).action, 'keep');
});

test('what the initrd cannot make is said before anything is written', async () => {
  const one = { name: 'bladeroot-data', fs: 'xfs', change: 'new', untouchable: false } as const;
  const path = process.env['PATH'];
  process.env['PATH'] = '/nonexistent';
  try {
    await assert.rejects(requirePrograms([one]), {
      code: 'PROGRAM_MISSING',
      message: 'bladeroot-data is to be xfs, and the initrd has no mkfs.xfs',
    });
    await requirePrograms([{ ...one, change: 'keep' }]);
  } finally {
    process.env['PATH'] = path;
  }
});

test('a plan is carried out in one go where the kernel knows GPT, and kept by the next run', async (t) => {
  const disk = await loopDisk(t, 3 * GiB);
  const plan = await planLoop(disk, SMALL);
  await writeTable(plan);
  if (!existsSync(`${disk.device}p1`))
    return t.skip('this kernel is built without GPT (CONFIG_EFI_PARTITION)');
  // The run before was cut off right after the table.
  const made = await layOutDisk(await planLoop(disk, SMALL), nothing);
  const { UUID: uuid } = await probe(made.persist);
  assert.deepEqual(await layOutDisk(await planLoop(disk, SMALL), nothing), made);
  assert.equal((await probe(made.persist))['UUID'], uuid);
});
