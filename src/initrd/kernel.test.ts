import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareVersions, findKernel } from './kernel.ts';
import { sampleImage } from './sample-image.fixture.ts';

test('versions are ordered as people order them', () => {
  const ordered = [
    '5.10.0-28-amd64',
    '6.1.0-9-amd64',
    '6.1.0-10-amd64',
    '6.2.0-rc1',
    '6.2.0',
    '6.6-gentoo',
    '6.6.30-gentoo-dist',
    '6.6.30-gentoo-r1-dist',
    '6.10.5-gentoo',
  ];
  assert.deepEqual(ordered.toReversed().sort(compareVersions), ordered);
});

test('the newest kernel with its modules is found', async () => {
  await using image = await sampleImage({
    'boot/vmlinuz-6.1.0-9-amd64': '',
    'boot/vmlinuz-6.1.0-10-amd64': '',
    'boot/vmlinuz-6.1.0-11-amd64': '',
    'usr/lib/modules/6.1.0-9-amd64/modules.dep': '',
    'usr/lib/modules/6.1.0-10-amd64/modules.dep': '',
    lib: { target: 'usr/lib' },
  });
  assert.deepEqual(await findKernel(image.files), {
    version: '6.1.0-10-amd64',
    path: 'boot/vmlinuz-6.1.0-10-amd64',
  });
});

for (const path of ['boot/kernel-6.6.30-gentoo-dist', 'lib/modules/6.6.30-gentoo-dist/vmlinuz']) {
  test(`a kernel is found as Gentoo places it: ${path}`, async () => {
    const version = '6.6.30-gentoo-dist';
    await using image = await sampleImage({ [path]: '', [`lib/modules/${version}/modules.dep`]: '' });
    assert.deepEqual(await findKernel(image.files), { version, path });
  });
}

for (const [release, hint] of [
  ['ID=debian\n', 'install linux-image-amd64 in the tree'],
  ['NAME=Gentoo\nID=gentoo\n', 'install sys-kernel/gentoo-kernel-bin in the tree'],
  ['ID=ubuntu\nID_LIKE="debian"\n', 'install linux-image-amd64 in the tree'],
  ['ID=other\n', 'install linux-image-amd64 (debian) or sys-kernel/gentoo-kernel-bin (gentoo) in the tree'],
] as const) {
  test(`an image without a kernel is told: ${hint}`, async () => {
    await using image = await sampleImage({ 'etc/os-release': release });
    await assert.rejects(findKernel(image.files), { code: 'NO_KERNEL', hint });
  });
}
