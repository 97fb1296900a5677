import assert from 'node:assert/strict';
import { cp, mkdtemp, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { buffer } from 'node:stream/consumers';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { DirectoryFiles, type ImageFiles } from '../image/files.ts';
import { run, startPiped } from '../system/run.ts';
import { buildInitrd, type Initrd, type InitrdRequest } from './build.ts';
import { writeCpio } from './cpio.ts';
import { describeInitrd } from './describe.ts';
import { sampleElf, sampleImage, wholeImage } from './sample-image.fixture.ts';

const DEPENDENCIES = 'kernel/fs/ext4/ext4.ko:\n';
const EXTRA = [
  { path: 'init', mode: 0o755, content: Buffer.from('#!/bin/sh\n') },
  { path: 'opt/bladeroot/bin/node', mode: 0o755, content: sampleElf({ needed: ['libstdc++.so.6'] }) },
];

async function build(image: ImageFiles, more: Partial<InitrdRequest> = {}): Promise<Initrd> {
  return await buildInitrd({ image, kernel: { version: '6.1.0-9' }, extra: EXTRA, level: 1, ...more });
}

const image = () => sampleImage({ ...wholeImage(), 'usr/lib64/libstdc++.so.6': sampleElf({}) });

/** Its archives, uncompressed. */
function archivesIn({ bytes, parts }: Initrd): Buffer[] {
  let at = 0;
  return parts.map((part) => zstdDecompressSync(bytes.subarray(at, (at += part.bytes))));
}

test('paths of the image lead to the same files in the initrd', async () => {
  await using sample = await image();
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-initrd-'));
  try {
    for (const archive of archivesIn(await build(sample.files))) {
      await run('cpio', ['--quiet', '-idu'], { cwd: directory, input: archive });
    }
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
  const initrd = await build(sample.files, { extra: [{ path: 'large', mode: 0o644, content }] });
  const [tools = Buffer.alloc(0)] = archivesIn(initrd);
  for (const cores of [1, 3]) {
    const zstd = startPiped('zstd', ['-q', '-c', '-1', `-T${cores}`]);
    zstd.stdin.end(tools);
    assert.deepEqual(await buffer(zstd.stdout), initrd.bytes.subarray(0, initrd.parts[0]?.bytes));
    await zstd.done;
  }
});

test('what is in it is told by groups, whose sizes come to the whole', async () => {
  await using sample = await image();
  let last = { doneBytes: 0, totalBytes: -1 };
  const { bytes, parts } = await build(sample.files, { onProgress: (progress) => (last = progress) });
  assert.equal(last.doneBytes, last.totalBytes);
  const groups = describeInitrd(bytes);
  assert.deepEqual(
    groups.map(({ group, files }) => [group, files]),
    [
      ['tools', 14],
      ['modules', 2],
      ['agent', 1],
      ['node', 1],
    ],
  );
  assert.deepEqual(
    groups.map(({ compressedBytes }) => compressedBytes),
    parts.map((part) => part.bytes),
  );
  assert.equal(groups.find(({ group }) => group === 'modules')?.bytes, 'ext4'.length + DEPENDENCIES.length);
});

test('an initrd of a single archive is shared out among its groups', async () => {
  const content = Buffer.alloc(1000, 'x');
  const archive = writeCpio([
    { path: 'usr/bin/tool', mode: 0o755, content },
    { path: 'init', mode: 0o755, content },
  ]);
  const bytes = zstdCompressSync(Buffer.concat([...archive]));
  const half = Math.round(bytes.length / 2);
  assert.deepEqual(describeInitrd(bytes), [
    { group: 'tools', files: 1, bytes: 1000, compressedBytes: half },
    { group: 'agent', files: 1, bytes: 1000, compressedBytes: half },
  ]);
});

test('a file that is no initrd is told so', () => {
  for (const bytes of [Buffer.from('070701'), zstdCompressSync(Buffer.from('no archive'))]) {
    assert.throws(() => describeInitrd(bytes), { code: 'INITRD_FORMAT' });
  }
});

test('what was compressed for another initrd is taken from it', async () => {
  await using sample = await image();
  const first = await build(sample.files);
  const [content] = first.parts.map((part) => part.content);
  assert.ok(content !== undefined);
  const tools = first.bytes.subarray(0, first.parts[0]?.bytes);
  let compressed = 0;
  const again = await build(sample.files, {
    // Level 2 would show in what is compressed anew.
    level: 2,
    compressed: new Map([[content, tools]]),
    onProgress: ({ totalBytes }) => (compressed = totalBytes),
  });
  assert.deepEqual(again.bytes.subarray(0, tools.length), tools);
  const others = archivesIn(first).slice(1);
  assert.equal(
    compressed,
    others.reduce((sum, { length }) => sum + length, 0),
  );
});

test('a missing library of a program that is asked for is an error', async () => {
  const content = sampleElf({ needed: ['libnowhere.so.1'] });
  await using sample = await sampleImage(wholeImage());
  await assert.rejects(build(sample.files, { extra: [{ path: 'opt/tool', mode: 0o755, content }] }), {
    code: 'LIBRARY_MISSING',
    message: /opt\/tool needs libnowhere\.so\.1/,
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
