import assert from 'node:assert/strict';
import { cp, mkdtemp, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { buffer } from 'node:stream/consumers';
import { DirectoryFiles, type ImageFiles } from '../image/files.ts';
import { run, startPiped } from '../system/run.ts';
import { buildInitrd, type Initrd, type InitrdRequest } from './build.ts';
import { sampleElf, sampleImage, wholeImage } from './sample-image.fixture.ts';

const EXTRA = [
  { path: 'init', mode: 0o755, content: Buffer.from('#!/bin/sh\n') },
  { path: 'opt/bladeroot/bin/node', mode: 0o755, content: sampleElf({ needed: ['libstdc++.so.6'] }) },
];

async function build(image: ImageFiles, more: Partial<InitrdRequest> = {}): Promise<Initrd> {
  return await buildInitrd({ image, kernel: { version: '6.1.0-9' }, extra: EXTRA, level: 1, ...more });
}

const image = () => sampleImage({ ...wholeImage(), 'usr/lib64/libstdc++.so.6': sampleElf({}) });

async function unzstd(bytes: Buffer): Promise<Buffer> {
  const zstd = startPiped('zstd', ['-q', '-d', '-c']);
  zstd.stdin.end(bytes);
  const unpacked = await buffer(zstd.stdout);
  await zstd.done;
  return unpacked;
}

test('paths of the image lead to the same files in the initrd', async () => {
  await using sample = await image();
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-initrd-'));
  try {
    const { bytes } = await build(sample.files);
    await run('cpio', ['--quiet', '-id'], { cwd: directory, input: await unzstd(bytes) });
    const initrd = new DirectoryFiles(directory);
    assert.equal(await readlink(join(directory, 'bin')), 'usr/bin');
    assert.equal(await readlink(join(directory, 'usr/lib64/libc.so.6')), 'libc-2.36.so');
    assert.equal(await readlink(join(directory, 'usr/bin/sh')), '/usr/bin/busybox');
    assert.equal(await readlink(join(directory, 'usr/sbin/modprobe')), '/bin/../sbin/kmod');
    for (const path of [
      'init',
      'usr/sbin/kmod',
      'usr/lib64/ld-linux-x86-64.so.2',
      'usr/lib64/libstdc++.so.6',
      'usr/lib/modules/6.1.0-9/kernel/fs/ext4/ext4.ko',
      'etc/mke2fs.conf',
    ]) {
      assert.equal((await initrd.stat(path))?.type, 'file', path);
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('the same image makes the same bytes, also where it was copied to with other times', async () => {
  await using sample = await image();
  await using copy = await sampleImage({});
  await cp(sample.root, copy.root, { recursive: true, verbatimSymlinks: true });
  const { bytes } = await build(sample.files);
  assert.deepEqual((await build(sample.files)).bytes, bytes);
  assert.deepEqual((await build(copy.files)).bytes, bytes);
});

test('the bytes do not depend on the number of cores', async () => {
  await using sample = await image();
  // Large enough for several of the jobs that zstd gives to its cores.
  const content = Buffer.alloc(40 * 2 ** 20, (await sample.files.read('usr/sbin/tar')).toString('hex'));
  const { bytes } = await build(sample.files, { extra: [{ path: 'large', mode: 0o644, content }] });
  for (const cores of [1, 3]) {
    const zstd = startPiped('zstd', ['-q', '-c', '-1', `-T${cores}`]);
    zstd.stdin.end(await unzstd(bytes));
    assert.deepEqual(await buffer(zstd.stdout), bytes);
    await zstd.done;
  }
});

test('what is in it is reported by parts, and progress ends at the whole', async () => {
  await using sample = await image();
  let last = { doneBytes: 0, totalBytes: -1 };
  const { parts } = await build(sample.files, { onProgress: (progress) => (last = progress) });
  assert.equal(last.doneBytes, last.totalBytes);
  assert.deepEqual(
    parts.map(({ name }) => name),
    ['programs', 'skeleton', 'bladeroot', 'libraries', 'modules'],
  );
  assert.equal(parts.find(({ name }) => name === 'bladeroot')?.files, EXTRA.length);
});

test('a missing library of a program that is asked for is an error', async () => {
  const program = sampleElf({ needed: ['libnowhere.so.1'] });
  await using sample = await sampleImage({ ...wholeImage(), 'opt/tool': program });
  await assert.rejects(build(sample.files, { extra: [], programs: ['opt/tool'] }), {
    code: 'LIBRARY_MISSING',
    message: /opt\/tool needs libnowhere\.so\.1/,
  });
});

test('a program that is asked for and is not there is an error', async () => {
  await using sample = await image();
  await assert.rejects(build(sample.files, { programs: ['opt/tool'] }), {
    code: 'FILE_MISSING',
    message: 'the image has no file /opt/tool',
  });
});

test('building stops when it is told to, with the reason', async () => {
  await using sample = await image();
  const stop = new AbortController();
  const built = build(sample.files, {
    signal: stop.signal,
    onProgress: () => stop.abort(new Error('enough')),
  });
  await assert.rejects(built, /enough/);
});
