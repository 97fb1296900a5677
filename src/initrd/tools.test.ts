import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sampleElf, sampleImage, wholeImage } from './sample-image.fixture.ts';
import { findTools } from './tools.ts';

test('tools are found by their names in a merged /usr', async () => {
  await using image = await sampleImage(wholeImage());
  const { programs, files } = await findTools(image.files);
  assert.equal(programs.get('modprobe'), 'sbin/modprobe');
  assert.equal(programs.get('busybox'), 'bin/busybox');
  assert.deepEqual(files, ['etc/mke2fs.conf']);
});

test("all missing tools are named at once, each with this distribution's package", async () => {
  const { 'usr/sbin/sfdisk': _, 'usr/sbin/mkfs.fat': __, ...sample } = wholeImage();
  await using debian = await sampleImage(sample);
  await assert.rejects(findTools(debian.files), {
    code: 'TOOL_MISSING',
    message: 'the initrd needs what the image lacks: sfdisk (package fdisk), mkfs.vfat (package dosfstools)',
    hint: 'install in the tree: fdisk dosfstools',
  });
  await using gentoo = await sampleImage({ ...sample, 'etc/os-release': 'ID=gentoo\n' });
  await assert.rejects(findTools(gentoo.files), {
    hint: 'install in the tree: sys-apps/util-linux sys-fs/dosfstools',
  });
});

test('programs of file systems that only some layouts have come along where the image has them', async () => {
  await using without = await sampleImage(wholeImage());
  assert.equal((await findTools(without.files)).programs.has('mkfs.xfs'), false);
  await using image = await sampleImage({ ...wholeImage(), 'usr/sbin/mkfs.xfs': sampleElf({}) });
  assert.equal((await findTools(image.files)).programs.get('mkfs.xfs'), 'sbin/mkfs.xfs');
});

test("a busybox under a tool's name is not the tool", async () => {
  await using image = await sampleImage({
    ...wholeImage(),
    'usr/sbin/modprobe': { target: '../bin/busybox' },
  });
  await assert.rejects(findTools(image.files), {
    code: 'TOOL_MISSING',
    message: /modprobe \(package kmod\)/,
  });
});
