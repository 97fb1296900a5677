/** Unpacking over what is there touches nothing outside of the directory, however that is reached from within. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { link, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { assertSameTree, describeTree } from './testing/describe-tree.ts';
import { dense, makeTree, plain } from './testing/make-tree.ts';
import { mount } from './testing/scratch.ts';
import { place } from './testing/unpacked-over.ts';

const MIB = 1024 * 1024;
const ROOT = plain('', { type: 'dir' });

test('nothing outside is touched when links lead there: symbolic ones in the place of directories and files, hard ones', async (t) => {
  const {
    base,
    out,
    tree,
    unpack: unpackAgain,
  } = await place(t, [
    ROOT,
    plain('directory', { type: 'dir' }, { mode: 0o700, uid: 5 }),
    plain('directory/file', dense(100)),
    plain('directory/deeper', { type: 'dir' }),
    plain('directory/deeper/file', dense(100)),
    plain('symlinked', dense(100)),
    plain('hard', dense(100)),
    plain('hard-large', dense(9 * MIB)),
    plain('hard-empty', dense(0)),
    plain('only-mode', dense(2), { mode: 0o4755, uid: 9, xattrs: { 'user.a': '00' } }),
    plain('pipe', { type: 'fifo' }, { mode: 0o600 }),
    plain('link', { type: 'symlink', target: 'x' }, { uid: 3 }),
    plain('one', dense(10)),
    { type: 'hardlink', path: 'two', target: 'one' },
  ]);
  const outside = join(base, 'outside');
  await makeTree(outside, [
    ROOT,
    plain('file', dense(200, 1), { mode: 0o600 }),
    plain('deeper', { type: 'dir' }),
    plain('deeper/file', dense(200, 2)),
    ...['hard', 'hard-large', 'hard-empty', 'one', 'two'].map((name) => plain(name, dense(300, 3))),
    plain('only-mode', dense(2), { mode: 0o600 }),
    plain('pipe', { type: 'fifo' }),
    plain('link', { type: 'symlink', target: 'x' }),
  ]);
  await mkdir(out);
  await symlink(outside, join(out, 'directory'));
  await symlink(join(outside, 'file'), join(out, 'symlinked'));
  for (const name of ['hard', 'hard-large', 'hard-empty', 'one', 'two', 'only-mode', 'pipe', 'link']) {
    await link(join(outside, name), join(out, name));
  }
  // What is to be removed leads outside, too.
  await symlink(outside, join(out, 'surplus'));
  await link(join(outside, 'file'), join(out, 'surplus-file'));
  const before = await describeTree(outside);

  await unpackAgain();
  await assertSameTree(out, tree);
  await assertSameTree(outside, before);
});

test('the directory itself is never a symbolic link to another', async (t) => {
  const { base, out, unpack: unpackAgain } = await place(t, [ROOT, plain('file', dense(1))]);
  const elsewhere = join(base, 'elsewhere');
  await makeTree(elsewhere, [ROOT, plain('precious', dense(10))]);
  const before = await describeTree(elsewhere);
  await symlink(elsewhere, out);
  await assert.rejects(unpackAgain(), { code: 'TREE_MISSING', message: /is not a directory/ });
  await assertSameTree(elsewhere, before);
});

test('what is mounted below is filled where the snapshot has something there, and loses nothing', async (t) => {
  const {
    base,
    out,
    tree,
    unpack: unpackAgain,
  } = await place(t, [
    ROOT,
    ...['boot', 'proc', 'srv'].map((name) => plain(name, { type: 'dir' }, { mode: 0o700, mtime: '1' })),
    plain('boot/kernel', dense(100)),
    plain('boot/loader', { type: 'dir' }),
    plain('boot/loader/entries', dense(3)),
  ]);
  const elsewhere = join(base, 'elsewhere');
  const mounted = ['proc', 'boot', 'home'];
  for (const name of mounted) {
    await makeTree(join(elsewhere, name), [ROOT, plain('precious', dense(9))]);
    await mkdir(join(out, name), { recursive: true });
    // From the same file system: no device number tells.
    await mount(t, join(out, name), ['--bind', join(elsewhere, name)]);
  }
  const before = await Promise.all(
    ['proc', 'home'].map(async (name) => await describeTree(join(elsewhere, name))),
  );

  for (const _ of ['fresh', 'again']) {
    await unpackAgain();
    await assertSameTree(join(elsewhere, 'proc'), before[0] ?? []);
    await assertSameTree(join(elsewhere, 'home'), before[1] ?? []);
    await assertSameTree(join(out, 'srv'), join(tree, 'srv'));
    await assertSameTree(join(out, 'boot/loader'), join(tree, 'boot/loader'));
    assert.equal(readFileSync(join(elsewhere, 'boot/kernel')).length, 100);
    assert.equal(readFileSync(join(elsewhere, 'boot/precious')).length, 9);
  }
});
