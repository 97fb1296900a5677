/** Everything in a tree comes back the same; testing/describe-tree.py, which shares nothing with this code, says so. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import { Store } from '../store/store.ts';
import { run } from '../system/run.ts';
import { assertSameTree, describeTree } from './testing/describe-tree.ts';
import { dense, makeTree, plain, type ThingToMake } from './testing/make-tree.ts';
import { randomTree } from './testing/random-tree.ts';
import { remove, scratch } from './testing/scratch.ts';
import { pack, unpack, type Packed } from './testing/snapshot-of.ts';
import { acl, NET_RAW, SOME_ACL } from './testing/xattrs.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const TIB = 1024 ** 4;

const ROOT = plain('', { type: 'dir' });

/** Packs a tree of these things, unpacks it, and requires that the two cannot be told apart. */
async function requireExact(t: TestContext, things: readonly ThingToMake[]): Promise<Packed> {
  const base = await scratch(t);
  const [tree, out] = [join(base, 'tree'), join(base, 'out')];
  await makeTree(tree, things);
  const store = await Store.open(join(base, 'store'));
  const packed = await pack(tree, store);
  await unpack(store, packed.statement, out);
  const original = await describeTree(tree);
  assert.equal(original.length, things.length, 'all was made');
  await assertSameTree(out, original);
  return packed;
}

test('names of any bytes, 255 long, and paths longer than the kernel takes in one call', async (t) => {
  const bytes = Array.from({ length: 255 }, (_, i) => String.fromCharCode(i + 1)).filter(
    (each) => each !== '/',
  );
  const deep: ThingToMake[] = [];
  let path = 'deep';
  deep.push(plain(path, { type: 'dir' }));
  while (path.length < 9000) {
    path += `/${'d'.repeat(250)}`;
    deep.push(plain(path, { type: 'dir' }, { mtime: String(path.length) }));
  }
  await requireExact(t, [
    ROOT,
    // `.` alone is no name.
    ...bytes.map((each) => plain(each === '.' ? '...' : each, dense(3, each.charCodeAt(0)))),
    plain(bytes.join(''), { type: 'dir' }),
    plain(`${bytes.join('')}/${'\xfe'.repeat(255)}`, dense(5)),
    plain('sub\\dir\n', { type: 'dir' }),
    plain('sub\\dir\n/\n', dense(1)),
    ...deep,
    plain(`${path}/file`, dense(4000), { xattrs: { 'user.deep': 'ff' }, mode: 0o4755 }),
    plain(`${path}/${'n'.repeat(255)}`, dense(9 * MIB)),
    plain(`${path}/empty`, { type: 'file', size: 0, data: [] }),
    plain(`${path}/link`, { type: 'symlink', target: 'x' }, { xattrs: { 'trusted.l': '01' } }),
    plain(`${path}/fifo`, { type: 'fifo' }),
    { type: 'hardlink', path: 'another-name', target: `${path}/file` },
    { type: 'hardlink', path: `${path}/again`, target: `${path}/file` },
  ]);
});

test('hard links of all that can have them, symbolic links that dangle and are as long as can be', async (t) => {
  const names = ['a', 'a-b', 'z'].map((each) => plain(each, { type: 'dir' }));
  const kinds = {
    file: dense(1000),
    large: dense(9 * MIB),
    empty: dense(0),
    symlink: { type: 'symlink', target: 'nowhere' },
    char: { type: 'char', major: 1, minor: 3 },
    fifo: { type: 'fifo' },
  } as const;
  await requireExact(t, [
    ROOT,
    ...names,
    ...Object.entries(kinds).flatMap(([kind, thing]): ThingToMake[] => [
      // By bytes `a-b/x` comes before `a/x`, by directories after it.
      plain(`a/${kind}`, thing, { mtime: '-1' }),
      { type: 'hardlink', path: `a-b/${kind}`, target: `a/${kind}` },
      { type: 'hardlink', path: `z/${kind}`, target: `a/${kind}` },
      { type: 'hardlink', path: `a/${kind}-too`, target: `a/${kind}` },
    ]),
    plain('z/dangling', { type: 'symlink', target: '../no/such\xff\nthing' }),
    plain('z/longest', { type: 'symlink', target: 't'.repeat(4095) }),
    plain('z/absolute', { type: 'symlink', target: '/etc/passwd' }, { mtime: '4102444800000000001' }),
  ]);
});

test('holes stay holes, and 1 TiB with 1 MiB of data costs about 1 MiB', async (t) => {
  const { statement } = await requireExact(t, [
    ROOT,
    plain('huge', {
      type: 'file',
      size: TIB,
      data: [
        [0, 256 * KIB, 1],
        [300 * 1024 ** 3, 512 * KIB, 2],
        [TIB - 256 * KIB, 256 * KIB, 3],
      ],
    }),
    plain(
      'no-data',
      { type: 'file', size: 5 * 1024 ** 3 + 1, data: [] },
      { mode: 0o4755, xattrs: { 'user.x': '01' } },
    ),
    plain('at-the-end', { type: 'file', size: 2 * MIB, data: [[MIB, 1, 4]] }),
    plain('not-at-the-end', { type: 'file', size: 1_000_001, data: [[0, 1, 5]] }),
    // Of several objects, that do not begin where its extents do.
    plain('large', {
      type: 'file',
      size: 40 * MIB,
      data: [
        [4 * MIB, 7 * MIB, 6],
        [20 * MIB, 4 * KIB, 7],
        [21 * MIB, 10 * MIB + 1, 8],
      ],
    }),
    plain('many-holes', {
      type: 'file',
      size: 500 * 8 * KIB,
      data: Array.from({ length: 500 }, (_, i) => [i * 8 * KIB + 4 * KIB, 4 * KIB, i] as const),
    }),
    plain('zeros-are-data', { type: 'file', size: 9, data: [[0, 9, 9]] }),
  ]);
  const data = 1 * MIB + 17 * MIB + 500 * 4 * KIB;
  assert.ok(statement.storedBytes < data + 0.5 * MIB, `${statement.storedBytes} bytes for ${data}`);
});

test('devices, fifos, owners up to 2^32-2, modes, extended attributes, capabilities, ACLs', async (t) => {
  const many = Object.fromEntries(
    Array.from({ length: 40 }, (_, i) => [`user.${'n'.repeat(i + 1)}`, `0${i % 10}`]),
  );
  const everyone = acl([
    ['owner', 7],
    ['ownGroup', 7],
    ['other', 7],
  ]);
  await requireExact(t, [
    plain('', { type: 'dir' }, { xattrs: { 'system.posix_acl_default': SOME_ACL, 'trusted.root': '' } }),
    plain('null', { type: 'char', major: 1, minor: 3 }, { xattrs: { 'trusted.device': '00' } }),
    plain('high', { type: 'block', major: 4095, minor: 1_048_575 }, { mode: 0o6 }),
    plain('fifo', { type: 'fifo' }, { uid: 1, xattrs: { 'system.posix_acl_access': SOME_ACL } }),
    plain('ids', dense(1), { uid: 4_294_967_294, gid: 4_294_967_294 }),
    ...[0o0, 0o7777, 0o4755, 0o2755, 0o1777, 0o200].flatMap((mode) => [
      plain(`file-${mode}`, dense(10), { mode, uid: 1000, gid: 50 }),
      plain(`dir-${mode}`, { type: 'dir' }, { mode, uid: 1000, gid: 50 }),
      plain(`dir-${mode}/in-it`, dense(2)),
    ]),
    plain('xattrs', dense(10), {
      xattrs: { ...many, 'trusted.a=b%3D\n"': '000a3dff', 'security.any': 'ff'.repeat(900) },
    }),
    plain('caf\xe9 \xff', dense(10), { xattrs: { 'user.empty': '' } }),
    plain('capable', dense(100), { mode: 0o4755, uid: 7, xattrs: { 'security.capability': NET_RAW } }),
    plain('link', { type: 'symlink', target: 'x' }, { uid: 9, gid: 8, xattrs: { 'trusted.link': '6c' } }),
    plain(
      'acl',
      { type: 'dir' },
      { mode: 0o2770, xattrs: { 'system.posix_acl_access': SOME_ACL, 'system.posix_acl_default': everyone } },
    ),
    // These must not inherit anything of their directory's.
    plain('acl/file', dense(600), { mode: 0o640 }),
    plain('acl/large', dense(9 * MIB), { mode: 0o604 }),
    plain('acl/empty', dense(0), { mode: 0o600 }),
    plain('acl/fifo', { type: 'fifo' }, { mode: 0o600 }),
    plain('acl/dir', { type: 'dir' }, { mode: 0o700 }),
    plain('acl/dir/below', dense(1)),
  ]);
});

test('times in nanoseconds, before 1970 and after 2038, of files, directories and symbolic links', async (t) => {
  const times = ['-2147483648000000000', '-1500000001', '-1', '0', '1', '999999999', '1700000000000000001'];
  // The last is as late as ext4 can say.
  times.push('2147483648000000000', '4294967296999999999', '15032385535999999999');
  await requireExact(t, [
    plain('', { type: 'dir' }, { mtime: '-1' }),
    ...times.flatMap((mtime) => [
      plain(`file${mtime}`, dense(10), { mtime }),
      plain(`empty${mtime}`, dense(0), { mtime }),
      plain(`fifo${mtime}`, { type: 'fifo' }, { mtime }),
      plain(`link${mtime}`, { type: 'symlink', target: 'x' }, { mtime }),
      plain(`dir${mtime}`, { type: 'dir' }, { mtime }),
      plain(`dir${mtime}/a`, { type: 'dir' }, { mtime }),
      plain(`dir${mtime}/a/b`, dense(1), { mtime }),
      plain(`dir${mtime}/empty`, { type: 'dir' }, { mtime }),
    ]),
  ]);
});

test('files of every length around the sizes that things are cut and read by', async (t) => {
  const edges = [1, 512, 4 * KIB, MIB, 2 * MIB, 8 * MIB];
  const sizes = new Set([0, ...edges.flatMap((size) => [size - 1, size, size + 1])]);
  await requireExact(t, [
    ROOT,
    ...[...sizes].map((size) => plain(`${size}`, dense(size))),
    // The same content many times, also as a part of larger ones.
    ...['one', 'two', 'three'].map((each) => plain(each, dense(513))),
  ]);
});

test('sockets are left out, with a note that names them', async (t) => {
  const base = await scratch(t);
  const tree = join(base, 'tree');
  await makeTree(tree, [ROOT, plain('a', dense(1)), plain('sock\net', { type: 'socket' })]);
  const store = await Store.open(join(base, 'store'));
  const notes: string[] = [];
  const { statement } = await pack(tree, store, { onNote: (note) => notes.push(note) });
  assert.deepEqual(notes, ['"sock\\net" is a socket, and left out']);
  await unpack(store, statement, join(base, 'out'));
  await run('rm', [join(tree, 'sock\net')]);
  await run('touch', ['--date=@1700000000.123456789', tree]);
  await assertSameTree(join(base, 'out'), tree);
});

test('any tree comes back the same, and packs to the same snapshot again', async (t) => {
  const base = await scratch(t);
  let round = 0;
  await fc.assert(
    fc.asyncProperty(randomTree, async (things) => {
      const root = join(base, String(round++));
      const [tree, out] = [join(root, 'tree'), join(root, 'out')];
      await makeTree(tree, things);
      const store = await Store.open(join(root, 'store'));
      const { statement, id } = await pack(tree, store);
      await unpack(store, statement, out);
      await assertSameTree(out, tree);
      assert.equal((await pack(out, store)).id, id);
      await remove(root);
    }),
    { numRuns: 4, endOnFailure: true },
  );
});
