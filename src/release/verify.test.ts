import assert from 'node:assert/strict';
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { DirectorySource } from '../store/directory-source.ts';
import {
  blobPath,
  manifestDeltaPath,
  manifestPath,
  packIndexPath,
  packPath,
  snapshotPath,
} from '../store/layout.ts';
import type { GetOptions, Source } from '../store/source.ts';
import type { Store } from '../store/store.ts';
import { blobOf, sampleRelease } from './release.fixture.ts';
import {
  copyOf,
  flip,
  key,
  packNext,
  packOf,
  publicKey,
  twoSnapshots,
  type Scene,
} from './snapshot.fixture.ts';
import { signSnapshot } from './snapshots.ts';
import { requireSound, verifyStore, type Verified } from './verify.ts';

async function verify({ store, releases }: Scene, sources: Source[] = [], id?: string): Promise<Verified> {
  return await verifyStore({ store, publicKey, releases, sources, id });
}

/** The problems as lines. */
function said({ problems }: Verified): string[] {
  return problems.map(({ path, message, mended }) => `${path}: ${message}${mended ? ' (mended)' : ''}`);
}

/** A release of the second snapshot, with all its blobs. */
async function putRelease({ store, releases, snapshots }: Scene): Promise<void> {
  for (const content of ['kernel', 'initrd', 'loader', 'config', 'overlay']) {
    await store.putBlob(Buffer.from(content));
  }
  const id = snapshots[1]?.id ?? '';
  await releases.put(sampleRelease(key, { snapshot: { id, tree: 'web' } }));
}

test('a sound store has no problems, and all of it was read', async (t) => {
  const scene = await twoSnapshots(t);
  await putRelease(scene);
  let last = { bytesDone: 0, bytesTotal: 1 };
  const { store, releases } = scene;
  const verified = await verifyStore({
    store,
    publicKey,
    releases,
    onProgress: (progress) => (last = progress),
  });
  assert.deepEqual(verified, { snapshots: 2, packs: 3, blobs: 5, problems: [], notes: [] });
  assert.equal(last.bytesDone, last.bytesTotal);
  requireSound(verified);
});

/** What can be damaged, and what is said of it. */
function damages({ snapshots }: Scene): Record<string, [at: number, says: RegExp]> {
  const [first, second] = snapshots;
  const full = packOf(first, 0, 0);
  const [a, b] = [first?.id ?? '', second?.id ?? ''];
  return {
    [snapshotPath(a)]: [300, /^snapshot \w{12} was altered, or is not signed|is not signed/],
    [manifestPath(b)]: [100, /^manifest \w{64} from .* is damaged/],
    [manifestDeltaPath(b, a)]: [30, /^it does not make the manifest/],
    [packIndexPath(packOf(second, 0, 1))]: [40, /^the index of pack .* is damaged/],
    [packPath(full)]: [1024 * 1024 + 5, /^piece 1 is damaged/],
    [packPath(packOf(first, 1, 0))]: [5, /^piece 0 is damaged/],
    [blobPath(blobOf('initrd').digest)]: [2, /^the blob is damaged/],
  };
}

test('everything that is damaged is named, all at once, and mended from a sound store to the same bytes', async (t) => {
  const scene = await twoSnapshots(t);
  await putRelease(scene);
  const sound = await copyOf(scene, 'sound');
  const cases = Object.entries(damages(scene));
  for (const [path, [at]] of cases) await flip(scene.store, path, at);

  const found = await verify(scene);
  for (const [path, [, says]] of cases) {
    const about = found.problems.filter((problem) => problem.path === path);
    assert.equal(about.length, 1, path);
    assert.match(about[0]?.message ?? '', says);
  }
  assert.throws(() => requireSound(found), { code: 'STORE_DAMAGED' });

  const mended = await verify(scene, [new DirectorySource(sound.directory)]);
  assert.deepEqual(
    mended.problems.map(({ path, mended: isMended }) => [path, isMended]).sort(),
    cases.map(([path]) => [path, true]).sort(),
  );
  requireSound(mended);
  for (const [path] of cases) await requireSame(scene.store, sound, path);
  assert.deepEqual((await verify(scene)).problems, []);
});

async function requireSame(store: Store, sound: Store, path: string): Promise<void> {
  const [here, there] = [store, sound].map(({ directory }) => readFile(join(directory, path)));
  assert.deepEqual(await here, await there, path);
}

test('what is lost is named and fetched: a pack, its index, a manifest, a blob, a truncated pack', async (t) => {
  const scene = await twoSnapshots(t);
  await putRelease(scene);
  const sound = await copyOf(scene, 'sound');
  const [first, second] = scene.snapshots;
  const lost = [
    packIndexPath(packOf(first, 0, 0)),
    packPath(packOf(second, 0, 1)),
    packIndexPath(packOf(second, 0, 1)),
    manifestPath(first?.id ?? ''),
    blobPath(blobOf('kernel').digest),
    snapshotPath(second?.id ?? ''),
  ];
  for (const path of lost) await rm(join(scene.store.directory, path));
  const cut = packPath(packOf(first, 1, 0));
  await truncate(join(scene.store.directory, cut), 1000);

  const text = said(await verify(scene)).join('\n');
  assert.match(text, /the index of the pack is missing/);
  assert.match(text, /the store .* has no manifest/);
  assert.match(text, /the store .* has no snapshot/);
  assert.match(text, /: the blob is missing/);
  assert.match(text, /: piece 0 is damaged/);
  assert.match(text, /it is 1000 bytes long instead of/);

  requireSound(await verify(scene, [new DirectorySource(sound.directory)]));
  assert.deepEqual((await verify(scene)).problems, []);
  for (const path of [...lost, cut]) {
    if (!path.endsWith('.json.zst')) await requireSame(scene.store, sound, path);
  }
});

test('just the pieces that are damaged are fetched', async (t) => {
  const scene = await twoSnapshots(t);
  const sound = await copyOf(scene, 'sound');
  const pack = packPath(packOf(scene.snapshots[0], 0, 0));
  await flip(scene.store, pack, 1024 * 1024 + 5);
  const asked: string[] = [];
  const there = new DirectorySource(sound.directory);
  const source: Source = {
    name: there.name,
    get: (path: string, options?: GetOptions) => {
      asked.push(`${path} ${options?.start}-${options?.end}`);
      return there.get(path, options);
    },
  };
  requireSound(await verify(scene, [source]));
  assert.deepEqual(asked, [`${pack} ${1024 * 1024}-${2 * 1024 * 1024}`]);
});

test('each thing is taken from whichever of several stores has it sound; what none has stays as it was', async (t) => {
  const scene = await twoSnapshots(t);
  const [one, other] = [await copyOf(scene, 'one'), await copyOf(scene, 'other')];
  const pack = packPath(packOf(scene.snapshots[0], 0, 0));
  for (const piece of [0, 1, 2]) await flip(scene.store, pack, piece * 1024 * 1024 + 5);
  await flip(one, pack, 5);
  await flip(other, pack, 1024 * 1024 + 5);
  const both = [one, other].map(({ directory }) => new DirectorySource(directory));

  await flip(one, pack, 2 * 1024 * 1024 + 5);
  await flip(other, pack, 2 * 1024 * 1024 + 5);
  const before = await readFile(join(scene.store.directory, pack));
  const [problem] = (await verify(scene, both)).problems;
  assert.equal(problem?.mended, false);
  assert.match(
    problem?.message ?? '',
    /^pieces 0 to 2 are damaged; not mended: piece 2 of pack .* is damaged/,
  );
  assert.deepEqual(await readFile(join(scene.store.directory, pack)), before);

  await flip(other, pack, 2 * 1024 * 1024 + 5);
  requireSound(await verify(scene, both));
  assert.deepEqual((await verify(scene)).problems, []);
});

test('a snapshot that is whole by one way does not need the packs of another; their absence is only noted', async (t) => {
  const scene = await twoSnapshots(t);
  const { store, snapshots } = scene;
  await store.unlistSnapshot(snapshots[1]?.id ?? '');
  const full = await packNext({ ...scene, snapshots: [] });
  assert.equal(full.id, snapshots[1]?.id);
  const layers = full.layers.map((layer, i) => ({
    ...layer,
    ways: [...layer.ways, ...(snapshots[1]?.layers[i]?.ways ?? [])],
  }));
  await signSnapshot(store, { ...full, layers }, key);
  const lost = packOf(snapshots[1], 0, 1);
  for (const path of [packPath(lost), packIndexPath(lost)]) await rm(join(store.directory, path));
  const { problems, notes } = await verify(scene);
  assert.deepEqual(problems, []);
  assert.deepEqual(notes, [
    `pack ${lost} is not here: snapshot ${full.id.slice(0, 12)} is whole by another way, without it`,
  ]);
});

test('a way that does not lead to all that the manifest names is found, though every pack is sound', async (t) => {
  const scene = await twoSnapshots(t);
  const second = scene.snapshots[1];
  assert.ok(second !== undefined);
  const layers = second.layers.map((layer) => ({
    ...layer,
    ways: layer.ways.map((way) => (layer.name === 'run' ? way.slice(1) : way)),
  }));
  await signSnapshot(scene.store, { ...second, layers }, key);
  const lines = said(await verify(scene));
  assert.equal(lines.length, 1, lines.join('\n'));
  assert.match(lines[0] ?? '', /^snapshots\/.*: 4\d objects are not in the packs of the way run: /);
});

test('one snapshot can be checked alone; a tag of nothing and an altered release are problems of the whole', async (t) => {
  const scene = await twoSnapshots(t);
  await putRelease(scene);
  const [first, second] = scene.snapshots;
  await flip(scene.store, packPath(packOf(second, 0, 1)), 5);
  await scene.store.putTag('lost', 'ab'.repeat(32));
  await writeFile(join(scene.releases.directory, '1.json'), '{}');
  assert.deepEqual((await verify(scene, [], first?.id)).problems, []);
  assert.equal((await verify(scene, [], second?.id)).problems.length, 1);
  assert.deepEqual(
    (await verify(scene)).problems.map(({ path }) => path.split('/')[0]),
    ['releases', 'packs', 'tags'],
  );
});

test('checking can be aborted', async (t) => {
  const { store, releases } = await twoSnapshots(t);
  const abort = new AbortController();
  const reason = new Error('enough');
  const onProgress = (): void => abort.abort(reason);
  await assert.rejects(verifyStore({ store, publicKey, releases, signal: abort.signal, onProgress }), reason);
});
