/** Patches on files that are there: without the pack that holds what they are based on. */
import assert from 'node:assert/strict';
import { cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Store } from '../store/store.ts';
import { assertSameTree } from './testing/describe-tree.ts';
import { dense, makeTree, plain } from './testing/make-tree.ts';
import { scratch } from './testing/scratch.ts';
import { pack, unpack, type Packed } from './testing/snapshot-of.ts';

interface Scene {
  store: Store;
  /** As it is now. */
  tree: string;
  /** What the first snapshot was. */
  old: string;
  first: Packed;
  second: Packed;
}

const NAMES = ['one', 'two', 'three'];

/** Files of which the second snapshot has patches. */
async function twoSnapshots(t: TestContext): Promise<Scene> {
  const base = await scratch(t);
  const [tree, old] = [join(base, 'tree'), join(base, 'old')];
  const store = await Store.open(join(base, 'store'));
  const files = NAMES.map((name, i) => plain(`d/${name}`, dense(50_000 + i)));
  await makeTree(tree, [plain('', { type: 'dir' }), plain('d', { type: 'dir' }), ...files]);
  const first = await pack(tree, store);
  await unpack(store, first.statement, old);
  for (const name of NAMES) {
    const path = join(tree, 'd', name);
    await writeFile(path, Buffer.concat([await readFile(path), Buffer.from('something more')]));
  }
  const second = await pack(tree, store, { base: first.statement });
  assert.ok(second.newBytes < 10_000, `patches, not ${second.newBytes} bytes`);
  return { store, tree, old, first, second };
}

function firstPack({ store, first }: Scene): string {
  const [{ id } = { id: '' }] = first.statement.layers[0]?.ways.flat() ?? [];
  return store.packPath(id);
}

test('what a tree has serves as bases: the pack that they came in is not read', async (t) => {
  const scene = await twoSnapshots(t);
  const { store, second, tree, old } = scene;
  await rm(firstPack(scene));
  await unpack(store, second.statement, old);
  await assertSameTree(old, tree);
  // Which shows that it would be needed.
  await assert.rejects(unpack(store, second.statement, join(old, '../blank')), { code: 'SOURCE_MISSING' });
});

test('so does a tree beside the one that is written', async (t) => {
  const scene = await twoSnapshots(t);
  const { store, second, tree, old } = scene;
  await rm(firstPack(scene));
  const blank = join(old, '../blank');
  await unpack(store, second.statement, blank, { beside: old });
  await assertSameTree(blank, tree);
});

test('what only seems to be a base is none', async (t) => {
  const scene = await twoSnapshots(t);
  const { store, second, tree, old } = scene;
  for (const [i, name] of NAMES.entries())
    await writeFile(join(old, 'd', name), Buffer.alloc(50_000 + i, 'x'));
  const hidden = `${firstPack(scene)}.hidden`;
  await rename(firstPack(scene), hidden);
  const copy = join(old, '../copy');
  await cp(old, copy, { recursive: true });
  await assert.rejects(unpack(store, second.statement, copy), { code: 'SOURCE_MISSING' });
  await rename(hidden, firstPack(scene));
  await unpack(store, second.statement, old);
  await assertSameTree(old, tree);
});

test('nor is what is no file, or cannot be reached', async (t) => {
  const scene = await twoSnapshots(t);
  const { store, second, tree, old } = scene;
  const beside = join(old, '../beside');
  await mkdir(join(beside, 'd/one'), { recursive: true });
  await unpack(store, second.statement, join(old, '../blank'), { beside });
  await assertSameTree(join(old, '../blank'), tree);
});
