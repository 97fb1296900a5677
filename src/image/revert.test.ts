import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { DirectorySource } from '../store/directory-source.ts';
import { Store } from '../store/store.ts';
import { packTree } from './pack.ts';
import { SnapshotFiles } from './snapshot-files.ts';
import { snapshotStatement, type SnapshotStatement } from './statement.ts';
import { scratch } from './testing/scratch.ts';
import { unpackSnapshot } from './unpack.ts';

test('a file that goes back to its old content can be read, though each version is a patch on the other', async (t) => {
  const base = await scratch(t);
  const [tree, directory] = [join(base, 'tree'), join(base, 'out')];
  await mkdir(tree);
  const store = await Store.open(join(base, 'store'));
  const old = randomBytes(300_000);
  const changed = Buffer.concat([old.subarray(0, 1000), Buffer.from('changed'), old.subarray(1000)]);
  let statement: SnapshotStatement | undefined;
  for (const content of [old, changed, old]) {
    await writeFile(join(tree, 'file'), content);
    statement = snapshotStatement(await packTree(tree, store, { base: statement }), 'test', new Date(0));
  }
  assert.ok(statement !== undefined);
  assert.equal(statement.layers[0]?.ways[0]?.length, 3, 'each change made a pack');
  await unpackSnapshot({ statement, source: new DirectorySource(store.directory), directory });
  assert.deepEqual(await readFile(join(directory, 'file')), old);
  assert.deepEqual(await (await SnapshotFiles.open(store, statement)).read('file'), old);
});
