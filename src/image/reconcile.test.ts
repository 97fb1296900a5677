/** Unpacking over what is there: it becomes the snapshot, and nothing that is right is written again. */
import assert from 'node:assert/strict';
import { lstatSync, readFileSync } from 'node:fs';
import { rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Store } from '../store/store.ts';
import { run } from '../system/run.ts';
import { assertSameTree, describeTree } from './testing/describe-tree.ts';
import { dense, makeTree, plain } from './testing/make-tree.ts';
import { randomTree } from './testing/random-tree.ts';
import { beforeRemoval, remove, scratch } from './testing/scratch.ts';
import { pack, unpack } from './testing/snapshot-of.ts';
import { place } from './testing/unpacked-over.ts';
import { SOME_ACL } from './testing/xattrs.ts';

const MIB = 1024 * 1024;
const ROOT = plain('', { type: 'dir' });

/** What changes when anything at all is done to a file. */
function traces(...path: string[]): string {
  const { ino, ctimeNs, mtimeNs } = lstatSync(join(...path), { bigint: true });
  return `${ino} ${ctimeNs} ${mtimeNs}`;
}

test('any tree over any other becomes that tree, and over itself is not touched', async (t) => {
  const base = await scratch(t);
  let round = 0;
  await fc.assert(
    fc.asyncProperty(randomTree, randomTree, async (before, after) => {
      const root = join(base, String(round++));
      const [out, tree] = [join(root, 'out'), join(root, 'tree')];
      await makeTree(out, before);
      await makeTree(tree, after);
      const store = await Store.open(join(root, 'store'));
      const { statement } = await pack(tree, store);
      await unpack(store, statement, out);
      await assertSameTree(out, tree);

      const inodes = await run('find', [out, '-printf', '%i %C@ %p\\0']);
      await unpack(store, statement, out);
      assert.equal((await run('find', [out, '-printf', '%i %C@ %p\\0'])).stdout, inodes.stdout);
      await remove(root);
    }),
    { numRuns: 4, endOnFailure: true },
  );
});

test('only what differs is written: the others keep inode and time of change', async (t) => {
  const {
    out,
    tree,
    unpack: unpackAgain,
  } = await place(t, [
    ROOT,
    ...['same', 'content', 'longer', 'gone', 'mode', 'owner', 'xattr', 'touched', 'linked'].map((name) =>
      plain(name, dense(1000)),
    ),
    plain('large', dense(20 * MIB)),
    plain('empty', dense(0)),
    plain('now-empty', dense(0)),
    plain('directory', { type: 'dir' }),
    plain('directory/same', dense(5)),
    plain('link', { type: 'symlink', target: 'there' }),
    { type: 'hardlink', path: 'directory/linked', target: 'linked' },
  ]);
  let written = 0;
  const options = { onProgress: ({ bytesDone }: { bytesDone: number }) => void (written = bytesDone) };
  await unpackAgain(options);
  const untouched = ['same', 'linked', 'large', 'empty', 'link'];
  untouched.push('directory', 'directory/same', 'directory/linked');
  const described = ['mode', 'owner', 'xattr', 'touched'];
  const before = new Map([...untouched, ...described].map((name) => [name, traces(out, name)]));

  await writeFile(join(out, 'content'), 'x'.repeat(1000));
  await writeFile(join(out, 'longer'), 'x'.repeat(1001));
  await writeFile(join(out, 'now-empty'), 'x');
  await rm(join(out, 'gone'));
  await run('chmod', ['4600', join(out, 'mode')]);
  await run('chown', ['7:8', join(out, 'owner')]);
  await run('setfattr', ['--name=user.more', '--value=x', join(out, 'xattr')]);
  await utimes(join(out, 'touched'), 1, 1);
  await writeFile(join(out, 'surplus'), 'x');
  written = 0;
  await unpackAgain(options);

  await assertSameTree(out, tree);
  assert.equal(written, 3 * 1000, 'content, longer and gone');
  for (const name of untouched) assert.equal(traces(out, name), before.get(name), name);
  for (const name of described) {
    const inode = traces(out, name).split(' ')[0];
    assert.equal(inode, before.get(name)?.split(' ')[0], `${name} is not written anew`);
  }
});

test('content that changed behind the back of size and time is seen by --checksum, and only by it', async (t) => {
  const {
    out,
    tree,
    unpack: unpackAgain,
  } = await place(t, [
    ROOT,
    plain('file', dense(5000)),
    plain('large', dense(10 * MIB)),
    plain('sparse', { type: 'file', size: 5 * MIB, data: [[MIB, 4096, 1]] }),
    plain('same', dense(600)),
  ]);
  await unpackAgain();
  const same = traces(out, 'same');
  for (const [name, at] of [
    ['file', 4999],
    ['large', 9 * MIB],
    // Where a hole is to be.
    ['sparse', 3 * MIB],
  ] as const) {
    const path = join(out, name);
    await run('dd', [`of=${path}`, 'bs=1', `seek=${at}`, 'conv=notrunc'], { input: '!' });
    await run('touch', ['--date=@1700000000.123456789', path]);
  }
  const changed = await describeTree(out);

  await unpackAgain();
  assert.deepEqual(await describeTree(out), changed);
  await unpackAgain({ checksum: true });
  await assertSameTree(out, tree);
  assert.equal(traces(out, 'same'), same);
});

test('what --keep names stays, with the directories it is in, and all else that is not in the snapshot goes', async (t) => {
  const { out, unpack: unpackAgain } = await place(t, [
    ROOT,
    plain('etc', { type: 'dir' }),
    plain('etc/conf', dense(9)),
  ]);
  await makeTree(out, [
    ROOT,
    ...['etc', 'home', 'home/me', 'home/me/work', 'srv', 'srv/a', 'srv/b', 'var', 'var/x'].map((path) =>
      plain(path, { type: 'dir' }),
    ),
    plain('home/me/work/file', dense(10)),
    plain('srv/a/file.keep', dense(10)),
    plain('srv/a/file', dense(10)),
    plain('etc/conf', dense(5)),
    plain('etc/machine.keep', dense(5)),
    plain('var/x/y', dense(5)),
  ]);
  await unpackAgain({ keep: ['/home/', '*.keep'] });
  const left = await run('find', ['.', '-printf', '%P\n'], { cwd: out });
  const expected = ['etc', 'etc/conf', 'etc/machine.keep', 'home', 'home/me', 'home/me/work'];
  expected.push('home/me/work/file', 'srv', 'srv/a', 'srv/a/file.keep');
  assert.deepEqual(left.stdout.trim().split('\n').sort(), expected);
  assert.equal(readFileSync(join(out, 'etc/conf')).length, 9);
});

test('an existing directory keeps its default ACL, and what is made in it does not inherit it', async (t) => {
  const withDefault = plain('', { type: 'dir' }, { xattrs: { 'system.posix_acl_default': SOME_ACL } });
  const things = [
    withDefault,
    plain('a', dense(10), { mode: 0o600 }),
    plain('d', { type: 'dir' }, { mode: 0o700 }),
  ];
  const { out, tree, unpack: unpackAgain } = await place(t, things);
  await makeTree(out, [withDefault, plain('other', dense(1))]);
  await unpackAgain();
  await assertSameTree(out, tree);
});

test('the lost+found of a file system stays, and one of the snapshot is made', async (t) => {
  const without = await place(t, [ROOT, plain('a', dense(1))]);
  await makeTree(without.out, [
    ROOT,
    plain('lost+found', { type: 'dir' }),
    plain('lost+found/#12', dense(3)),
  ]);
  await without.unpack();
  assert.equal(readFileSync(join(without.out, 'lost+found/#12')).length, 3);

  const having = await place(t, [
    ROOT,
    plain('lost+found', { type: 'dir' }, { mode: 0o700 }),
    plain('a', dense(1)),
  ]);
  for (const _ of ['fresh', 'again']) {
    await having.unpack();
    await assertSameTree(having.out, having.tree);
  }
});

test('what cannot be removed is named', async (t) => {
  const { out, unpack: unpackAgain } = await place(t, [ROOT]);
  await makeTree(out, [ROOT, plain('immutable', dense(1))]);
  await run('chattr', ['+i', join(out, 'immutable')]);
  beforeRemoval(t, async () => void (await run('chattr', ['-i', join(out, 'immutable')])));
  await assert.rejects(unpackAgain(), {
    code: 'UNPACK_FAILED',
    message: /immutable" could not be removed: EPERM/,
  });
});
