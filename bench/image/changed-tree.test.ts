import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { folderOf } from '../../src/fleet/folder.fixture.ts';
import { changeFivePercent, largeFile, touchAll } from './changed-tree.ts';

const { signal } = new AbortController();
const NAMES = Array.from({ length: 100 }, (_, at) => `file ${String(at).padStart(2, '0')}`);

/** A folder `old` with a hundred files, each larger than the one before. */
async function hundredFiles(t: TestContext): Promise<{ old: string; copy: string }> {
  const files = NAMES.map((name, at) => [`old/${name}`, name.repeat(at + 1)]);
  const folder = await folderOf(t, Object.fromEntries(files));
  return { old: join(folder, 'old'), copy: join(folder, 'copy') };
}

const readAll = async (folder: string): Promise<string[]> =>
  await Promise.all(NAMES.map((name) => readFile(join(folder, name), 'utf8')));

test('five of a hundred files get a content that nobody had, and the tree itself stays as it was', async (t) => {
  const { old, copy } = await hundredFiles(t);
  const before = await readAll(old);
  const { files, bytes } = await changeFivePercent(old, copy, signal);
  const after = await readAll(copy);
  const changed = after.filter((content, at) => content !== before[at]);
  assert.equal(files, 5);
  assert.equal(changed.length, 5);
  assert.equal(bytes, changed.join('').length);
  assert.ok(changed.every((content) => !before.includes(content)));
  assert.deepEqual(await readAll(old), before);
});

test('touching a tree changes all times in a copy, and no content', async (t) => {
  const { old, copy } = await hundredFiles(t);
  await touchAll(old, copy, signal);
  assert.deepEqual(await readAll(copy), await readAll(old));
  for (const name of ['.', ...NAMES]) {
    const [was, is] = await Promise.all([old, copy].map((folder) => stat(join(folder, name))));
    assert.ok((is?.mtimeMs ?? 0) > (was?.mtimeMs ?? 0), name);
  }
});

test('a large file is made of the largest files, cut to its size, with the prefix in front', async (t) => {
  const { old, copy } = await hundredFiles(t);
  const [largest = '', next = ''] = (await readAll(old)).reverse();
  await largeFile(old, copy, { size: largest.length + 10, prefix: '', signal });
  assert.equal(await readFile(copy, 'utf8'), largest + next.slice(0, 10));
  await largeFile(old, copy, { size: 10, prefix: '+', signal });
  assert.equal(await readFile(copy, 'utf8'), `+${largest.slice(0, 10)}`);
});
