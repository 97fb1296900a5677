import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { test } from 'node:test';
import { run } from '../system/run.ts';
import { inspectContents, inspectDisks } from './inspect.ts';
import { loopDisk } from './loop-disk.fixture.ts';

const MiB = 1024 ** 2;

test('a blank disk has nothing on it', async (t) => {
  const { device } = await loopDisk(t, 8 * MiB);
  const { digest, ...contents } = await inspectContents(device);
  assert.deepEqual(contents, {
    sectorBytes: 512,
    readOnly: false,
    removable: false,
    partitions: [],
    signatures: [],
    written: false,
  });
  assert.match(digest, /^[0-9a-f]{64}$/);
});

test('partitions are found with what is in them, whatever the kernel knows of them, and nothing is written', async (t) => {
  const { device } = await loopDisk(t, 128 * MiB);
  const input = 'label: gpt\nsize=16MiB, name="Windows ä"\nsize=32MiB, name=data\nsize=8MiB\n';
  await run('sfdisk', ['--quiet', device], { input });
  const swap = (
    await run('losetup', [
      '--find',
      '--show',
      '--offset',
      String(17 * MiB),
      '--sizelimit',
      String(32 * MiB),
      device,
    ])
  ).stdout.trim();
  await run('mkswap', [swap]);
  await run('losetup', ['--detach', swap]);
  const disk = await open(device, 'r+');
  await disk.write(Buffer.from('not zero'), 0, 8, 49.5 * MiB);
  await disk.close();
  const { partitions, table, signatures, digest } = await inspectContents(device);
  assert.equal(table, 'gpt');
  assert.ok(signatures.includes('gpt'));
  assert.deepEqual(
    partitions.map(({ number, name, start, bytes, fileSystem, blank }) => [
      number,
      name,
      start / MiB,
      bytes / MiB,
      fileSystem,
      blank,
    ]),
    [
      [1, 'Windows ä', 1, 16, undefined, true],
      [2, 'data', 17, 32, 'swap', false],
      [3, '', 49, 8, undefined, false],
    ],
  );
  assert.equal((await inspectContents(device)).digest, digest);
});

test('a file system on the disk itself, and data of an unknown kind, are seen', async (t) => {
  const { device } = await loopDisk(t, 16 * MiB);
  await run('mkswap', [device]);
  const { signatures, written, table } = await inspectContents(device);
  assert.deepEqual([signatures, written, table], [['swap'], true, undefined]);
  const disk = await open(device, 'r+');
  await disk.write(Buffer.alloc(MiB, 0xa5), 0, MiB, 0);
  await disk.close();
  const unknown = await inspectContents(device);
  assert.deepEqual([unknown.signatures, unknown.written], [[], true]);
});

test('loop devices are no disks, and a disk that cannot be read does not hide the others', async (t) => {
  const { device } = await loopDisk(t, 8 * MiB);
  const disks = await inspectDisks();
  assert.ok(!disks.some(({ path }) => path === device));
  for (const { path, bytes, contents } of disks) {
    assert.match(path, /^\/dev\//);
    assert.ok(bytes > 0);
    if (contents.unreadable !== undefined) assert.ok(contents.written);
  }
});
