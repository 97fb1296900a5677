import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  manifestDeltaPath,
  manifestPath,
  packIndexPath,
  packPath,
  partialPackPath,
} from '../store/layout.ts';
import type { Store } from '../store/store.ts';
import { collectGarbage, type Garbage } from './collect-garbage.ts';
import { sampleRelease } from './release.fixture.ts';
import { removeSnapshots } from './remove-snapshots.ts';
import {
  copyOf,
  emptyScene,
  flip,
  key,
  packNext,
  packOf,
  publicKey,
  twoSnapshots,
  writeTree,
  type Scene,
} from './snapshot.fixture.ts';
import { readSnapshot, signSnapshot } from './snapshots.ts';
import { verifyStore } from './verify.ts';

async function collect(
  scene: Scene,
  options: { dryRun?: boolean; keyless?: boolean } = {},
): Promise<Garbage> {
  const { store, releases } = scene;
  return await collectGarbage({
    store,
    releases,
    publicKey,
    key: options.keyless === true ? undefined : key,
    dryRun: options.dryRun,
  });
}

async function filesOf(store: Store): Promise<string[]> {
  const found: string[] = [];
  for (const folder of ['blobs', 'manifests', 'packs', 'snapshots', 'tags']) {
    for (const name of await readdir(join(store.directory, folder))) found.push(`${folder}/${name}`);
  }
  return found.sort();
}

async function requireSound({ store, releases }: Scene): Promise<void> {
  const { problems } = await verifyStore({ store, publicKey, releases });
  assert.deepEqual(problems, []);
}

test('nothing goes that a listed snapshot needs; what nothing needs goes, and is said, with its size', async (t) => {
  const scene = await twoSnapshots(t);
  const { store, snapshots } = scene;
  assert.deepEqual(await collect(scene), { files: [], tags: [], ways: 0, bytes: 0 });
  const before = await filesOf(store);
  const strange = 'packs/read.me';
  const garbage = [
    `blobs/${await store.putBlob(Buffer.from('of no release'))}`,
    manifestPath('ab'.repeat(32)),
    packPath('cd'.repeat(32)),
    partialPackPath('ef'.repeat(32)),
  ];
  for (const path of [strange, ...garbage.slice(1)]) await writeFile(join(store.directory, path), 'garbage');
  await store.putTag('lost', 'ab'.repeat(32));
  // What an interrupted fetch has of a pack that is needed stays.
  const partial = partialPackPath(packOf(snapshots[0], 0, 0));
  await writeFile(join(store.directory, partial), 'begun');

  const dry = await collect(scene, { dryRun: true });
  const done = await collect(scene);
  assert.deepEqual(done, dry);
  assert.deepEqual(done.files.map(({ path }) => path).sort(), garbage.toSorted());
  assert.equal(done.bytes, 'of no release'.length + 3 * 'garbage'.length);
  assert.deepEqual(done.tags, ['lost']);
  assert.deepEqual(await filesOf(store), [...before, strange, partial].sort());
  await requireSound(scene);
});

test('after rm, the first of two snapshots leaves what the second builds upon; after the second, nothing is left', async (t) => {
  const scene = await twoSnapshots(t);
  const { store, releases, snapshots } = scene;
  const [first, second] = snapshots;
  assert.ok(first !== undefined && second !== undefined);
  await store.putTag('old', first.id);
  await store.putTag('new', second.id);
  assert.deepEqual(await removeSnapshots(store, releases, [first.id]), ['old']);
  assert.deepEqual(
    (await collect(scene)).files.map(({ path }) => path),
    [manifestPath(first.id)],
  );
  await requireSound(scene);

  await removeSnapshots(store, releases, [second.id]);
  const last = await collect(scene);
  const packs = [packOf(first, 0, 0), packOf(second, 0, 1), packOf(first, 1, 0)];
  assert.deepEqual(
    last.files.map(({ path }) => path).sort(),
    [
      ...packs.flatMap((id) => [packPath(id), packIndexPath(id)]),
      manifestPath(second.id),
      manifestDeltaPath(second.id, first.id),
    ].sort(),
  );
  assert.deepEqual(await filesOf(store), []);
});

test('what a release needs stays: it cannot be removed, nor its blobs', async (t) => {
  const scene = await twoSnapshots(t);
  const { store, releases, snapshots } = scene;
  const id = snapshots[0]?.id ?? '';
  const other = snapshots[1]?.id ?? '';
  for (const text of ['kernel', 'initrd', 'loader', 'config', 'overlay', 'garbage']) {
    await store.putBlob(Buffer.from(text));
  }
  await releases.put(sampleRelease(key, { sequence: 7, snapshot: { id, tree: 'web' } }));
  await assert.rejects(removeSnapshots(store, releases, [other, id]), {
    code: 'SNAPSHOT_IN_USE',
    message: `snapshot ${id.slice(0, 12)} is what release 7 installs`,
  });
  assert.deepEqual(await store.listSnapshots(), [id, other].sort(), 'none of them was removed');
  assert.deepEqual((await collect(scene)).bytes, 'garbage'.length);
  await requireSound(scene);
});

test('while it is not known what is needed, nothing is removed', async (t) => {
  const scene = await twoSnapshots(t);
  const { store, releases, snapshots } = scene;
  const garbage = await store.putBlob(Buffer.from('garbage'));
  const damaged = { ...scene, store: await copyOf(scene, 'damaged') };
  await flip(damaged.store, `snapshots/${snapshots[0]?.id ?? ''}.json`, 300);
  await assert.rejects(collect(damaged), {
    code: 'STORE_DAMAGED',
    message: /^nothing was removed: what snapshot/,
  });
  assert.ok(await damaged.store.hasBlob(garbage));

  await releases.put(sampleRelease(key, { snapshot: { id: 'ab'.repeat(32), tree: 'web' } }));
  await assert.rejects(collect(scene), {
    code: 'STORE_DAMAGED',
    message: /release 1 installs snapshot abababab/,
  });
  assert.ok(await store.hasBlob(garbage));
});

test('of several ways the cheapest is left, with those whose packs are needed anyway; without the key all are', async (t) => {
  const scene = await emptyScene(t);
  const { store, tree } = scene;
  await writeTree(tree, { file: Buffer.alloc(3_000_000, 'a'), other: 'other' });
  const first = await packNext(scene);
  await writeTree(tree, { large: randomBytes(500_000) });
  await packNext(scene);
  await writeTree(tree, { large: randomBytes(400_000) });
  const chained = await packNext(scene);
  // The same snapshot in one pack: cheaper than all that the chain has gathered.
  await store.unlistSnapshot(chained.id);
  const full = await packNext({ ...scene, snapshots: [] });
  assert.equal(full.id, chained.id);
  const layers = full.layers.map((layer, i) => ({
    ...layer,
    ways: layer.name === 'run' ? [...(chained.layers[i]?.ways ?? []), ...layer.ways] : layer.ways,
  }));
  await signSnapshot(store, { ...full, manifest: chained.manifest, layers }, key);

  assert.deepEqual((await collect(scene, { keyless: true })).files, []);
  const freed = await collect(scene);
  const last = packOf(chained, 0, 2);
  assert.deepEqual(
    freed.files.map(({ path }) => path),
    [packIndexPath(last), packPath(last)],
  );
  assert.equal(freed.ways, 1);
  const left = await readSnapshot(store, full.id, publicKey);
  assert.deepEqual(
    left.layers.map(({ ways }) => ways),
    full.layers.map(({ ways }) => ways),
  );
  assert.equal(left.storedBytes, full.storedBytes);
  assert.deepEqual(await readSnapshot(store, first.id, publicKey), first);
  await requireSound(scene);
});
