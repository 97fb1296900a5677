import assert from 'node:assert/strict';
import { mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { SignedRelease } from '../release/repository.ts';
import { readSnapshot } from '../release/snapshots.ts';
import { releaseBlobs } from '../release/statement.ts';
import { sha256 } from '../store/digest.ts';
import { HttpSource } from '../store/http-source.ts';
import { manifestPath, packIndexPath, packPath, snapshotPath } from '../store/layout.ts';
import type { Source } from '../store/source.ts';
import { Store } from '../store/store.ts';
import { fetchImage, fetchRest } from './fetch-image.ts';
import { keys, makeRelease, serveRelease } from '../agent/release.fixture.ts';

const PIECE = 1024 ** 2;
/** A byte of the third piece of the pack. */
const LAST_PIECE = 2 * PIECE + 200_000;

interface Scene {
  release: SignedRelease;
  /** The root's. */
  store: Store;
  mirror: Store;
  directory: string;
  pack: string;
  /** Paths that were asked for, with the byte they were asked from. */
  asked: string[];
  fetch(): Promise<void>;
}

async function setScene(t: TestContext): Promise<Scene> {
  const base = await mkdtemp(join(tmpdir(), 'bladeroot-fetch-'));
  t.after(async () => await rm(base, { recursive: true, force: true }));
  const { store, release } = await makeRelease(base);
  const http = new HttpSource(`${await serveRelease(t, store, release)}/store`);
  t.after(() => http.close());
  const asked: string[] = [];
  const source: Source = {
    name: http.name,
    get: (path, options) => {
      asked.push(`${path} ${options?.start ?? 0}`);
      return http.get(path, options);
    },
  };
  const mirror = await Store.open(join(base, 'mirror'));
  const directory = join(base, 'slot');
  const fetch = async (): Promise<void> => {
    // As install.ts: each try begins with a new file system.
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory);
    const request = { release, toRun: release, publicKey: keys.publicKey, source, mirror, directory };
    await fetchImage(request);
    await fetchRest(request);
  };
  const { layers } = await readSnapshot(store, release.statement.snapshot.id, keys.publicKey);
  const pack = layers[0]?.ways[0]?.[0]?.id;
  assert.ok(pack !== undefined);
  return { release, store, mirror, directory, pack, asked, fetch };
}

/** Flips a bit of one byte, or back. */
async function flip(store: Store, path: string, at: number): Promise<void> {
  const file = await open(join(store.directory, path), 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ 1;
  await file.write(byte, 0, 1, at);
  await file.close();
}

/** Whatever has a name in the mirror is what its name says. */
async function requireSound({ mirror, release, pack }: Scene): Promise<void> {
  for (const { digest } of releaseBlobs(release.statement)) {
    if (await mirror.hasBlob(digest)) assert.equal(sha256(await readFile(mirror.blobPath(digest))), digest);
  }
  const { id } = release.statement.snapshot;
  if (await mirror.hasManifest(id)) await mirror.readManifest(id);
  if (await mirror.hasPack(pack)) {
    assert.deepEqual(await piecesOf(mirror, pack), (await mirror.readPackIndex(pack)).pieces);
  }
  for (const listed of await mirror.listSnapshots()) {
    const { layers } = await readSnapshot(mirror, listed, keys.publicKey);
    assert.ok(await mirror.hasManifest(listed));
    for (const { id: needed } of layers.flatMap(({ ways }) => ways.flat()))
      assert.ok(await mirror.hasPack(needed));
  }
}

async function piecesOf(store: Store, id: string): Promise<string[]> {
  const bytes = await readFile(store.packPath(id));
  const pieces: string[] = [];
  for (let at = 0; at < bytes.length; at += PIECE) pieces.push(sha256(bytes.subarray(at, at + PIECE)));
  return pieces;
}

async function requireWhole(scene: Scene): Promise<void> {
  const { mirror, store, release, pack, directory } = scene;
  assert.deepEqual(await readFile(join(directory, 'etc/os-release'), 'utf8'), 'ID=test\n');
  const { id } = release.statement.snapshot;
  assert.deepEqual(await mirror.listSnapshots(), [id]);
  assert.ok(await mirror.hasPack(pack));
  assert.deepEqual(await readFile(mirror.packPath(pack)), await readFile(store.packPath(pack)));
  for (const { digest } of releaseBlobs(release.statement)) assert.ok(await mirror.hasBlob(digest));
  await requireSound(scene);
}

test('a release comes whole from a root: unpacked into the slot, and kept to be served again', async (t) => {
  const scene = await setScene(t);
  await scene.fetch();
  await requireWhole(scene);
});

const ALTERED: { what: string; code: string; at: (scene: Scene) => [path: string, byte: number] }[] = [
  {
    what: 'a blob',
    code: 'BLOB_DAMAGED',
    at: ({ release }) => [`blobs/${release.statement.initrd.digest}`, 3],
  },
  {
    what: 'the signed snapshot',
    code: 'SIGNATURE_INVALID',
    at: ({ release }) => [snapshotPath(release.statement.snapshot.id), 120],
  },
  {
    what: 'the manifest',
    code: 'MANIFEST_DAMAGED',
    at: ({ release }) => [manifestPath(release.statement.snapshot.id), 20],
  },
  { what: "a pack's index", code: 'PACK_INDEX_DAMAGED', at: ({ pack }) => [packIndexPath(pack), 60] },
  { what: 'the first piece of a pack', code: 'PIECE_DAMAGED', at: ({ pack }) => [packPath(pack), 1000] },
  { what: 'the last piece of a pack', code: 'PIECE_DAMAGED', at: ({ pack }) => [packPath(pack), LAST_PIECE] },
];

for (const { what, code, at } of ALTERED) {
  test(`one altered byte of ${what} is noticed, the mirror takes nothing of it, and the next try succeeds`, async (t) => {
    const scene = await setScene(t);
    const [path, byte] = at(scene);
    await flip(scene.store, path, byte);
    await assert.rejects(scene.fetch(), { code });
    await requireSound(scene);
    assert.equal(await scene.mirror.hasPack(scene.pack), false);
    assert.deepEqual(await scene.mirror.listSnapshots(), [], 'what is not whole is not listed');

    await flip(scene.store, path, byte);
    await scene.fetch();
    await requireWhole(scene);
  });
}

test('what the disk of the mirror has damaged since is fetched again', async (t) => {
  const scene = await setScene(t);
  await scene.fetch();
  await flip(scene.mirror, `blobs/${scene.release.statement.initrd.digest}`, 2);
  await flip(scene.mirror, packPath(scene.pack), LAST_PIECE);
  await scene.fetch();
  await requireWhole(scene);
});

test('the next try fetches nothing that is here, and goes on at the first piece that is missing', async (t) => {
  const scene = await setScene(t);
  await flip(scene.store, packPath(scene.pack), LAST_PIECE);
  await assert.rejects(scene.fetch(), { code: 'PIECE_DAMAGED' });
  await flip(scene.store, packPath(scene.pack), LAST_PIECE);
  scene.asked.length = 0;
  await scene.fetch();
  assert.deepEqual(
    scene.asked.filter((path) => /^(blobs|manifests|packs\/\w+\.pack)/.test(path)),
    [`${packPath(scene.pack)} ${2 * PIECE}`],
  );
  scene.asked.length = 0;
  await scene.fetch();
  assert.deepEqual(
    scene.asked.filter((path) => !path.startsWith('snapshots/')),
    [],
    'a third time, all of it is here',
  );
});
