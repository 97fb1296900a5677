import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findModules } from './modules.ts';
import { sampleImage, type Sample } from './sample-image.fixture.ts';

const DIRECTORY = 'lib/modules/6.1.0-9-amd64';

/** Modules by path, each with those that it needs. */
function modules(dependencies: Record<string, string>): Sample {
  const lines = Object.entries(dependencies).map(([path, needs]) => `${path}: ${needs}\n`);
  return {
    [`${DIRECTORY}/modules.dep`]: lines.join(''),
    ...Object.fromEntries(Object.keys(dependencies).map((path) => [`${DIRECTORY}/${path}`, 'module'])),
  };
}

async function found(sample: Sample): Promise<string[]> {
  await using image = await sampleImage(sample);
  return (await findModules(image.files, '6.1.0-9-amd64')).map((path) => path.replace(`${DIRECTORY}/`, ''));
}

test('drivers come with all that they depend on, and others stay away', async () => {
  const sample = modules({
    'kernel/drivers/net/ethernet/intel/igb/igb.ko':
      'kernel/drivers/i2c/i2c-algo-bit.ko kernel/drivers/dca/dca.ko',
    'kernel/drivers/i2c/i2c-algo-bit.ko': '',
    'kernel/drivers/dca/dca.ko': '',
    'kernel/drivers/gpu/drm/drm.ko': '',
  });
  assert.deepEqual(await found(sample), [
    'kernel/drivers/dca/dca.ko',
    'kernel/drivers/i2c/i2c-algo-bit.ko',
    'kernel/drivers/net/ethernet/intel/igb/igb.ko',
    'modules.dep',
  ]);
});

test('what a module asks for by alias comes along, from every module that offers it', async () => {
  const sample = modules({
    'kernel/fs/ext4/ext4.ko': '',
    'kernel/crypto/crc32c_generic.ko': '',
    'kernel/arch/x86/crypto/crc32c-intel.ko': '',
  });
  sample[`${DIRECTORY}/modules.softdep`] = '# from the modules\nsoftdep ext4 pre: crypto-crc32c\n';
  sample[`${DIRECTORY}/modules.alias`] =
    'alias crypto-crc32c crc32c_intel\nalias crypto-crc32c crc32c_generic\nalias crypto-sha1 sha1_generic\n';
  const files = await found(sample);
  assert.ok(files.includes('kernel/crypto/crc32c_generic.ko'));
  assert.ok(files.includes('kernel/arch/x86/crypto/crc32c-intel.ko'));
});

for (const suffix of ['.ko', '.ko.gz', '.ko.xz', '.ko.zst']) {
  test(`modules as ${suffix} are known by name, with - as with _`, async () => {
    const path = `kernel/drivers/net/xen-netfront${suffix}`;
    assert.deepEqual(await found(modules({ [path]: '' })), [path, 'modules.dep']);
  });
}

test("modprobe's indexes and configuration come along as they are", async () => {
  const sample = modules({ 'kernel/fs/xfs/xfs.ko': '' });
  sample[`${DIRECTORY}/modules.dep.bin`] = 'index';
  sample['etc/modprobe.d/blacklist.conf'] = 'blacklist pcspkr\n';
  sample['etc/modprobe.d/README'] = 'not read';
  assert.deepEqual(await found(sample), [
    'kernel/fs/xfs/xfs.ko',
    'modules.dep',
    'modules.dep.bin',
    'etc/modprobe.d/blacklist.conf',
  ]);
});

test('without modules.dep, or with an old one, the error says what to run', async () => {
  await assert.rejects(found({ [`${DIRECTORY}/kernel/fs/xfs/xfs.ko`]: '' }), {
    code: 'NO_MODULES',
    hint: 'run `depmod 6.1.0-9-amd64` in the tree',
  });
  const old = modules({ 'kernel/fs/xfs/xfs.ko': '' });
  delete old[`${DIRECTORY}/kernel/fs/xfs/xfs.ko`];
  await assert.rejects(found(old), { code: 'NO_MODULES', message: /xfs\.ko/ });
});
