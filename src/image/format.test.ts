import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Store } from '../store/store.ts';
import { run } from '../system/run.ts';
import { packTree } from './pack.ts';
import { describeTree } from './testing/describe-tree.ts';
import { makeRichTree, removeLeftovers } from './testing/rich-tree.ts';
import { scratch } from './testing/scratch.ts';

const RESTORE = fileURLToPath(new URL('../../docs/restore.sh', import.meta.url));

test('docs/format.md is enough: a shell script restores a snapshot exactly', async (t) => {
  const base = await scratch(t);
  const [tree, out] = [join(base, 'tree'), join(base, 'out')];
  await mkdir(tree);
  await makeRichTree(tree);
  const store = await Store.open(join(base, 'store'));
  const { id, layers } = await packTree(tree, store);
  await removeLeftovers(tree);

  const packs = layers.flatMap((layer) => layer.ways[0] ?? []).map((pack) => pack.id);
  await run(RESTORE, [store.directory, id, out, ...packs]);
  assert.deepEqual(await describeTree(out), await describeTree(tree));
});
