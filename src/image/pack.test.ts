import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Store } from '../store/store.ts';
import { run } from '../system/run.ts';
import { parseManifest } from './manifest.ts';
import { packTree, type PackOptions } from './pack.ts';
import { scratch } from './testing/scratch.ts';

async function pathsPacked(tree: string, store: Store, options?: PackOptions): Promise<string[]> {
  const { id } = await packTree(tree, store, options);
  return parseManifest(await store.readManifest(id)).map((entry) => entry.path);
}

test('patterns leave things out, and with a directory all that is below it', async (t) => {
  const base = await scratch(t);
  const tree = join(base, 'tree');
  for (const folder of ['usr/src/linux', 'usr/lib']) await mkdir(join(tree, folder), { recursive: true });
  for (const name of ['usr/src/linux/Makefile', 'usr/lib/x.a', 'usr/lib/x.so', 'caf\u00e9']) {
    await writeFile(join(tree, name), name);
  }
  const store = await Store.open(join(base, 'store'));
  const packed = await pathsPacked(tree, store, {
    patterns: { extra: [], exclude: ['usr/src', '**/*.a', 'caf\u00e9'] },
  });
  assert.deepEqual(packed, ['', 'usr', 'usr/lib', 'usr/lib/x.so']);
});

test('a file system mounted below the tree is not entered', async (t) => {
  const base = await scratch(t);
  const mounted = join(base, 'tree/mnt');
  await mkdir(mounted, { recursive: true });
  await run('mount', ['-t', 'tmpfs', 'bladeroot-test', mounted]);
  try {
    await writeFile(join(mounted, 'file'), 'elsewhere');
    const store = await Store.open(join(base, 'store'));
    assert.deepEqual(await pathsPacked(join(base, 'tree'), store), ['', 'mnt']);
  } finally {
    await run('umount', [mounted]);
  }
});

test('a tree that changes while it is packed is no snapshot: the error names the file, and nothing is left', async (t) => {
  const base = await scratch(t);
  const tree = join(base, 'tree');
  await mkdir(tree);
  await writeFile(join(tree, 'large'), Buffer.alloc(16 * 1024 * 1024));
  await writeFile(join(tree, 'vanishes'), 'x');
  const store = await Store.open(join(base, 'store'));
  const packing = packTree(tree, store, {
    onProgress: () => rmSync(join(tree, 'vanishes'), { force: true }),
  });
  await assert.rejects(packing, { code: 'TREE_CHANGED', message: /"vanishes" vanished/ });
  for (const folder of ['tmp', 'packs', 'manifests']) {
    assert.deepEqual(await readdir(join(store.directory, folder)), [], folder);
  }
});

test('packing what is no directory says so, and packing can be aborted', async (t) => {
  const base = await scratch(t);
  const store = await Store.open(join(base, 'store'));
  await assert.rejects(packTree(join(base, 'nothing'), store), { code: 'TREE_MISSING' });
  await writeFile(join(base, 'file'), 'x');
  await assert.rejects(packTree(join(base, 'file'), store), { code: 'TREE_MISSING' });

  const tree = join(base, 'tree');
  await mkdir(tree);
  await writeFile(join(tree, 'large'), Buffer.alloc(16 * 1024 * 1024));
  const abort = new AbortController();
  const reason = new Error('enough');
  const onProgress = (): void => abort.abort(reason);
  await assert.rejects(packTree(tree, store, { signal: abort.signal, onProgress }), reason);
  assert.deepEqual(await readdir(store.asideFolder), []);
});
