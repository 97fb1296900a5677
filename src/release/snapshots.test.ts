import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { SnapshotStatement } from '../image/statement.ts';
import { snapshotPath } from '../store/layout.ts';
import { DirectorySource } from '../store/directory-source.ts';
import { Store } from '../store/store.ts';
import { seal } from './envelope.ts';
import { sampleKey, sampleStatement } from './release.fixture.ts';
import { findId, findSnapshot, newestOf } from './find-snapshot.ts';
import { fetchSnapshot, listSnapshot, readListed, readSnapshot, readSnapshots } from './snapshots.ts';
import { RELEASE_TYPE } from './statement.ts';

const key = sampleKey();
const publicKey = createPublicKey(key);

const idOf = (start: string): string => start.padEnd(64, '0');

function statement(start: string, tree: string, day: number): SnapshotStatement {
  return {
    type: 'bladeroot-snapshot',
    version: 1,
    id: idOf(start),
    tree,
    created: `2026-01-0${day}T00:00:00.000Z`,
    manifest: { bytes: 10, storedBytes: 10, deltas: [] },
    layers: [],
    storedBytes: 10,
  };
}

async function storeOf(t: TestContext, ...statements: SnapshotStatement[]): Promise<Store> {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-snapshots-'));
  t.after(async () => await rm(directory, { recursive: true }));
  const store = await Store.open(directory);
  for (const one of statements) await listSnapshot(store, one, key);
  return store;
}

test('snapshots are listed oldest first, whatever their ids', async (t) => {
  const store = await storeOf(t, statement('aaaa', 'web', 3), statement('bbbb', 'web', 1));
  const days = (await readSnapshots(store, publicKey)).map(({ created }) => created.slice(8, 10));
  assert.deepEqual(days, ['01', '03']);
});

test('a snapshot is found by its id, by the start of its id, and by its tree: then the newest', async (t) => {
  const old = statement('aaaa1', 'web', 1);
  const newer = statement('aaaa2', 'web', 2);
  const store = await storeOf(t, newer, old, statement('cccc', 'mail', 3));
  assert.deepEqual(await findSnapshot(store, old.id, publicKey), old);
  assert.deepEqual(await findSnapshot(store, 'aaaa1', publicKey), old);
  assert.deepEqual(await findSnapshot(store, 'web', publicKey), newer);
});

test('the start of several ids, and what there is not, are errors that say what to do', async (t) => {
  const store = await storeOf(t, statement('aaaa1', 'web', 1), statement('aaaa2', 'web', 2));
  await assert.rejects(findSnapshot(store, 'aaaa', publicKey), {
    code: 'UNKNOWN_SNAPSHOT',
    message: 'aaaa is the beginning of 2 snapshots',
  });
  await assert.rejects(findSnapshot(store, 'nosuch', publicKey), {
    code: 'UNKNOWN_SNAPSHOT',
    hint: /snapshot list/,
  });
});

test('a tag stands for its snapshot, before what begins with it; a whole id stands for itself', async (t) => {
  const [old, newer] = [statement('aaaa1', 'web', 1), statement('beef', 'web', 2)];
  const store = await storeOf(t, old, newer);
  await store.putTag('beef', old.id);
  await store.putTag('stable', old.id);
  await store.putTag('lost', idOf('dddd'));
  assert.deepEqual(await findSnapshot(store, 'beef', publicKey), old);
  assert.deepEqual(await findSnapshot(store, newer.id, publicKey), newer);
  assert.equal(await findId(store, 'stable'), old.id);
  assert.equal(await findId(store, 'web'), undefined, 'a tree is not one snapshot');
  await assert.rejects(findId(store, 'lost'), { message: 'the tag lost stands for a snapshot that is gone' });
});

test('to build upon, the newest of the tree and the tag is taken', async (t) => {
  const [old, newer] = [statement('aaaa', 'web', 1), statement('bbbb', 'mail', 2)];
  const store = await storeOf(t, old, newer);
  await store.putTag('stable', newer.id);
  const idFor = async (tree: string, tag?: string): Promise<string | undefined> =>
    (await newestOf(store, { tree, tag }, publicKey))?.id;
  assert.equal(await idFor('web'), old.id);
  assert.equal(await idFor('web', 'stable'), newer.id);
  assert.equal(await idFor('other', 'nosuch'), undefined);
});

test('an altered statement is named, and hides no other; no older one passes for the newest of its tree', async (t) => {
  const [one, other] = [statement('aaaa', 'web', 1), statement('bbbb', 'mail', 2)];
  const store = await storeOf(t, one, other);
  await store.putSnapshot(other.id, Buffer.from('{}'));
  const { statements, damaged } = await readListed(store, publicKey);
  assert.deepEqual(statements, [one]);
  assert.deepEqual(
    damaged.map(({ id }) => id),
    [other.id],
  );
  assert.deepEqual(await findSnapshot(store, 'aaaa', publicKey), one);
  await assert.rejects(findSnapshot(store, 'bbbb', publicKey), { code: 'SIGNATURE_INVALID' });
  await assert.rejects(findSnapshot(store, 'web', publicKey), {
    message: /^the newest snapshot of web cannot be told, as snapshot bbbb/,
    hint: /--repair-from/,
  });
  await assert.rejects(readSnapshots(store, publicKey), { code: 'SIGNATURE_INVALID' });
});

test('a snapshot under the name of another is refused, from the store and from a source', async (t) => {
  const good = statement('aaaa', 'web', 1);
  const store = await storeOf(t, good);
  const swapped = idOf('bbbb');
  await copyFile(join(store.directory, snapshotPath(good.id)), join(store.directory, snapshotPath(swapped)));
  const refused = { code: 'SIGNATURE_INVALID', message: /^snapshot bbbb00000000 is another snapshot/ };
  await assert.rejects(readSnapshot(store, swapped, publicKey), refused);
  await assert.rejects(fetchSnapshot(new DirectorySource(store.directory), swapped, publicKey), refused);
});

test('a snapshot that another key has signed, and a signed release, are no snapshots', async (t) => {
  const store = await storeOf(t, statement('aaaa', 'web', 1));
  await assert.rejects(readSnapshot(store, idOf('aaaa'), createPublicKey(sampleKey())), {
    code: 'SIGNATURE_INVALID',
    message: /^snapshot aaaa00000000 was altered, or is not signed by this fleet's key$/,
  });
  await store.putSnapshot(idOf('aaaa'), Buffer.from(seal(RELEASE_TYPE, sampleStatement(), key)));
  await assert.rejects(readSnapshot(store, idOf('aaaa'), publicKey), { message: /is of type .*release/ });
});
