import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { LOADERS } from '../boot/firmware.ts';
import { folderOf } from '../fleet/folder.fixture.ts';
import { Store } from '../store/store.ts';
import { storeLoaders } from './loaders.ts';

test('the loaders of the system are stored: what a BIOS and what UEFI on x86-64 can run', async (t) => {
  const directory = await folderOf(t, {});
  const store = await Store.open(join(directory, 'store'));
  const loaders = await storeLoaders(store);
  for (const [name, magic] of [
    ['undionly.kpxe', undefined],
    ['snponly.efi', 'MZ'],
    ['ipxe.efi', 'MZ'],
  ] as const) {
    const loader = loaders[name];
    assert.ok(loader !== undefined, name);
    const stored = await readFile(store.blobPath(loader.digest));
    assert.deepEqual(stored, await readFile(`/usr/lib/ipxe/${name}`), name);
    assert.equal(loader.bytes, stored.length);
    if (magic !== undefined) assert.equal(stored.toString('latin1', 0, 2), magic, name);
  }
  assert.ok(LOADERS.bios !== undefined && LOADERS.bios in loaders);
  assert.ok(LOADERS['uefi-x64'] !== undefined && LOADERS['uefi-x64'] in loaders);
});

test('a loader is taken from the first place that has it; one that nobody needs may be missing', async (t) => {
  const directory = await folderOf(t, { 'second/here.efi': 'here' });
  const store = await Store.open(join(directory, 'store'));
  const loaders = await storeLoaders(
    store,
    {},
    {
      'here.efi': { paths: [join(directory, 'first/here.efi'), join(directory, 'second/here.efi')] },
      'not-here.efi': { paths: [join(directory, 'not-here.efi')] },
    },
  );
  assert.deepEqual(Object.keys(loaders), ['here.efi']);
});

test('where a package is missing, as on a promoted blade, the loaders of the release before stay', async (t) => {
  const directory = await folderOf(t, {});
  const store = await Store.open(join(directory, 'store'));
  const kept = { digest: await store.putBlob(Buffer.from('loader')), bytes: 6 };
  const sources = { 'undionly.kpxe': { paths: [join(directory, 'undionly.kpxe')], requiredFrom: 'ipxe' } };
  assert.deepEqual(await storeLoaders(store, { 'undionly.kpxe': kept }, sources), { 'undionly.kpxe': kept });
  const gone = { digest: 'ab'.repeat(32), bytes: 6 };
  await assert.rejects(storeLoaders(store, { 'undionly.kpxe': gone }, sources), { code: 'NO_LOADER' });
});

test('a loader that every release must have is missed with the name of its package', async (t) => {
  const directory = await folderOf(t, {});
  const store = await Store.open(join(directory, 'store'));
  const missing = { paths: [join(directory, 'undionly.kpxe')], requiredFrom: 'ipxe' };
  await assert.rejects(storeLoaders(store, {}, { 'undionly.kpxe': missing }), {
    code: 'NO_LOADER',
    message: new RegExp(join(directory, 'undionly.kpxe')),
    hint: 'install the package ipxe',
  });
});
