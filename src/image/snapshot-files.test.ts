import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Store } from '../store/store.ts';
import { DirectoryFiles, followLinks } from './files.ts';
import { packTree } from './pack.ts';
import { SnapshotFiles } from './snapshot-files.ts';
import { snapshotStatement } from './statement.ts';
import { makeRichTree, removeLeftovers } from './testing/rich-tree.ts';
import { scratch } from './testing/scratch.ts';

test('a snapshot in a store reads as the directory that it was packed from', async (t) => {
  const base = await scratch(t);
  const tree = join(base, 'tree');
  await mkdir(tree);
  await makeRichTree(tree);
  const store = await Store.open(join(base, 'store'));
  const packed = await packTree(tree, store);
  await removeLeftovers(tree);

  const files = await SnapshotFiles.open(store, snapshotStatement(packed, 'rich', new Date()));
  const original = new DirectoryFiles(tree);
  const compare = async (path: string): Promise<void> => {
    assert.deepEqual(await files.list(path), await original.list(path), path);
    for (const name of await original.list(path)) {
      const below = path === '' ? name : `${path}/${name}`;
      const stat = await original.stat(below);
      assert.deepEqual(await files.stat(below), stat, below);
      if (stat?.type === 'file') assert.deepEqual(await files.read(below), await original.read(below), below);
      if (stat?.type === 'dir') await compare(below);
    }
  };
  await compare('');
  assert.equal(await files.stat('nowhere'), undefined);
  assert.deepEqual(await files.list('nowhere'), []);
  await assert.rejects(files.read('a'), { code: 'NOT_A_FILE' });
  assert.equal(await followLinks(files, 'a/dangling'), undefined);
});
