import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { folderOf } from '../../src/fleet/folder.fixture.ts';
import { compressedChanges, contentsOf } from './contents.ts';

const { signal } = new AbortController();

test('only contents that are new count, each once, wherever they lie', async (t) => {
  const [a, b, c] = ['a'.repeat(5000), 'b'.repeat(5000), 'c'.repeat(5000)];
  const folder = await folderOf(t, {
    'old/one': a,
    'old/two': b,
    'new/two': a,
    'new/it is three': c,
    'new/four': c,
    'new/empty': '',
  });
  const before = await contentsOf(join(folder, 'old'), signal);
  const after = await contentsOf(join(folder, 'new'), signal);
  assert.equal(after.size, 2);
  const bytes = await compressedChanges(before, after, signal);
  assert.ok(Math.abs(bytes - zstdCompressSync(c).length) <= 8, `${bytes} bytes`);
});

test('where nothing is new there is next to nothing', async (t) => {
  const contents = await contentsOf(await folderOf(t, { file: 'the same' }), signal);
  assert.ok((await compressedChanges(contents, contents, signal)) < 20);
});
