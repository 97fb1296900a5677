import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Store } from '../store/store.ts';
import { run } from '../system/run.ts';
import { packTree } from './pack.ts';
import { assertSameTree } from './testing/describe-tree.ts';
import { makeRichTree, removeLeftovers } from './testing/rich-tree.ts';
import { snapshotStatement } from './statement.ts';
import { scratch } from './testing/scratch.ts';

const RESTORE = fileURLToPath(new URL('../../docs/restore.sh', import.meta.url));

test('docs/format.md is enough: a shell script restores a snapshot exactly, with patches, long and sparse files', async (t) => {
  const base = await scratch(t);
  const [tree, out] = [join(base, 'tree'), join(base, 'out')];
  await mkdir(tree);
  await makeRichTree(tree);
  const store = await Store.open(join(base, 'store'));
  const first = snapshotStatement(await packTree(tree, store), 'rich', new Date(0));

  const large = await readFile(join(tree, 'sizes/large'));
  await writeFile(join(tree, 'sizes/large'), Buffer.concat([Buffer.from('one more'), large]));
  await writeFile(join(tree, 'sizes/long'), randomBytes(20 * 1024 * 1024));
  await run('truncate', ['--size=64M', join(tree, 'sizes/sparse')]);
  const sparse = await open(join(tree, 'sizes/sparse'), 'r+');
  await sparse.write('in the middle', 30 * 1024 * 1024);
  await sparse.close();
  const { id, layers } = await packTree(tree, store, { base: first });
  await removeLeftovers(tree);

  const packs = layers.flatMap((layer) => layer.ways[0] ?? []).map((pack) => pack.id);
  const indexes = await Promise.all(packs.map(async (pack) => await store.readPackIndex(pack)));
  assert.ok(
    indexes.flatMap(({ frames }) => frames).some(({ bases }) => bases !== undefined),
    'there is a patch',
  );
  await run(RESTORE, [store.directory, id, out, ...packs]);
  await assertSameTree(out, tree);
});
