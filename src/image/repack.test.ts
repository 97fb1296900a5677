import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { DirectorySource } from '../store/directory-source.ts';
import { Store } from '../store/store.ts';
import { packTree } from './pack.ts';
import { needsRepack, repack } from './repack.ts';
import { snapshotStatement, waysByCost, type SnapshotStatement } from './statement.ts';
import { describeTree } from './testing/describe-tree.ts';
import { scratch } from './testing/scratch.ts';
import { unpackSnapshot } from './unpack.ts';

const CREATED = new Date('2026-01-02T03:04:05Z');

/** Snapshots of a tree in which one file is rewritten from one to the next, each upon the one before. */
async function history(base: string, store: Store, count: number): Promise<SnapshotStatement[]> {
  const tree = join(base, 'tree');
  await mkdir(join(tree, 'usr/include'), { recursive: true });
  await writeFile(join(tree, 'stays'), randomBytes(200_000));
  await writeFile(join(tree, 'usr/include/header.h'), randomBytes(10_000));
  const statements: SnapshotStatement[] = [];
  for (let i = 0; i < count; i++) {
    await writeFile(join(tree, 'changes'), randomBytes(100_000));
    const packed = await packTree(tree, store, { base: statements.at(-1) });
    statements.push(snapshotStatement(packed, 'test', CREATED));
  }
  return statements;
}

function last<T>(list: readonly T[]): T {
  const found = list.at(-1);
  assert.ok(found !== undefined);
  return found;
}

test('a chain is made one pack when more than 30 % of it is obsolete, and the old way stays', async (t) => {
  const base = await scratch(t);
  const store = await Store.open(join(base, 'store'));
  const statements = await history(base, store, 3);
  const [first, second, third] = statements;
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  assert.equal(await needsRepack(store, first), false, 'a single pack is never obsolete');
  assert.equal(await needsRepack(store, second), false, '100 of 410 kB');
  assert.equal(await needsRepack(store, third), true, '200 of 510 kB');

  const repacked = await repack(store, third);
  assert.ok(repacked.storedBytes < third.storedBytes - 190_000);
  assert.equal(await needsRepack(store, repacked), false);
  for (const [i, layer] of repacked.layers.entries()) {
    assert.deepEqual(layer.ways.slice(1), third.layers[i]?.ways.slice(layer.ways.length > 1 ? 0 : 1));
  }

  const full = join(base, 'full');
  const source = new DirectorySource(store.directory);
  await unpackSnapshot({ statement: repacked, source, directory: full });
  assert.deepEqual(await describeTree(full), await describeTree(join(base, 'tree')));
  // Whoever has the packs of the chain still comes here by the chain, and whoever builds upon this has both ways.
  for (const { id } of waysByCost(last(repacked.layers.filter(({ name }) => name === 'run')))[0] ?? []) {
    await rm(store.packPath(id));
    await rm(store.packIndexPath(id));
  }
  const chain = join(base, 'chain');
  await unpackSnapshot({ statement: repacked, source, directory: chain });
  assert.deepEqual(await describeTree(chain), await describeTree(full));
});

test('a chain of more than 16 packs is made one', async (t) => {
  const base = await scratch(t);
  const store = await Store.open(join(base, 'store'));
  const tree = join(base, 'tree');
  await mkdir(tree);
  await writeFile(join(tree, 'large'), randomBytes(1_000_000));
  let statement: SnapshotStatement | undefined;
  for (let i = 0; i < 17; i++) {
    await writeFile(join(tree, `small-${i}`), `${i}`);
    const packed = await packTree(tree, store, { base: statement });
    statement = snapshotStatement(packed, 'test', CREATED);
    assert.equal(await needsRepack(store, statement), i === 16, `${i + 1} packs`);
  }
});

test('a blade that is behind gets there by the packs in between, one for the pair, or a full one: whichever is least', async (t) => {
  const base = await scratch(t);
  const store = await Store.open(join(base, 'store'));
  const statements = await history(base, store, 5);
  const [first, newest] = [statements[0], last(statements)];
  assert.ok(first !== undefined);
  const source = new DirectorySource(store.directory);
  const fetchedBy = async (
    name: string,
    has: SnapshotStatement | undefined,
    to: SnapshotStatement,
  ): Promise<number> => {
    const mirror = await Store.open(join(base, name));
    const directory = join(base, `${name}-tree`);
    if (has !== undefined) await unpackSnapshot({ statement: has, source, mirror, directory });
    let fetched = 0;
    await unpackSnapshot({
      statement: to,
      source,
      mirror,
      directory,
      onProgress: ({ fetchedBytes }) => (fetched = fetchedBytes),
    });
    assert.equal((await readFile(join(directory, 'changes'))).length, 100_000);
    assert.deepEqual(await describeTree(directory), await describeTree(join(base, 'tree')));
    return fetched;
  };
  const byChain = await fetchedBy('chain', first, newest);
  assert.ok(byChain > 400_000, `${byChain} by the packs in between: four versions of the file`);

  const pair = await repack(store, newest, { from: first });
  const byPair = await fetchedBy('pair', first, pair);
  assert.ok(byPair < 110_000, `${byPair} by the pack for the pair: one version of the file`);
  const near = await fetchedBy('near', statements[3], pair);
  assert.ok(near < 110_000, `${near} by the last of the packs in between`);

  const full = await repack(store, pair);
  const blank = await fetchedBy('blank', undefined, full);
  assert.equal(blank, full.storedBytes);
  assert.ok(blank < 330_000, `${blank} by the full pack: what is needed, and nothing else`);
});
