/** Which things of a tree go to which layer, are emptied, or are left out. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Store } from '../store/store.ts';
import { layerRules, patternMatcher, type Distribution, type LayerPatterns } from './layers.ts';
import type { PackOptions } from './pack.ts';
import { parseManifest } from './manifest.ts';
import { assertSameTree } from './testing/describe-tree.ts';
import { dense, makeTree, plain, type ThingToMake } from './testing/make-tree.ts';
import { scratch } from './testing/scratch.ts';
import { pack, unpack } from './testing/snapshot-of.ts';

const DIR = { type: 'dir' } as const;
const NONE: LayerPatterns = { extra: [], exclude: [] };

/** `left out`, `empty`, `run` or `extra`; `path/` is a directory. */
function verdict(distributions: readonly Distribution[], own: LayerPatterns, path: string): string {
  const rules = layerRules(distributions, own);
  const isDirectory = path.endsWith('/');
  const name = isDirectory ? path.slice(0, -1) : path;
  const kind = isDirectory ? 'dir' : 'file';
  if (rules.isExcluded(name, kind)) return 'left out';
  if (isDirectory && rules.isEmptied(name)) return 'empty';
  return rules.layerOf(name, kind, 'run');
}

test('by default what only maintenance needs is extra, in Gentoo, in Debian and anywhere', () => {
  const cases: [path: string, anywhere: string, gentoo: string, debian: string][] = [
    ['usr/', 'run', 'run', 'run'],
    ['usr/bin/ls', 'run', 'run', 'run'],
    // The directories themselves are there on every blade, as programs expect them.
    ['usr/include/', 'run', 'run', 'run'],
    ['usr/include/stdio.h', 'extra', 'extra', 'extra'],
    ['usr/include/sys/', 'extra', 'extra', 'extra'],
    ['usr/src/linux/', 'extra', 'extra', 'extra'],
    ['usr/share/man/man1/ls.1', 'extra', 'extra', 'extra'],
    ['usr/share/doc/bash/README', 'extra', 'extra', 'extra'],
    ['usr/lib/libc.a', 'extra', 'extra', 'extra'],
    ['usr/lib64/deep/er/libz.a', 'extra', 'extra', 'extra'],
    ['usr/lib/libc.so', 'run', 'run', 'run'],
    ['opt/libc.a', 'run', 'run', 'run'],
    ['home/usr/include/x', 'run', 'run', 'run'],
    ['var/db/repos/gentoo/x.ebuild', 'run', 'extra', 'run'],
    ['var/db/pkg/x/CONTENTS', 'run', 'run', 'run'],
    ['var/cache/distfiles/x.tar.xz', 'run', 'extra', 'run'],
    ['var/cache/binpkgs/x', 'run', 'extra', 'run'],
    ['var/lib/apt/lists/x', 'run', 'run', 'extra'],
    ['var/cache/apt/archives/x.deb', 'run', 'run', 'extra'],
    ['var/lib/dpkg/status', 'run', 'run', 'run'],
    // What a machine leaves behind.
    ['dev/', 'empty', 'empty', 'empty'],
    ['proc/', 'empty', 'empty', 'empty'],
    ['var/tmp/', 'empty', 'empty', 'empty'],
    ['srv/tmp/', 'run', 'run', 'run'],
    ['etc/ssh/ssh_host_ed25519_key', 'left out', 'left out', 'left out'],
    ['etc/ssh/ssh_host_ed25519_key.pub', 'left out', 'left out', 'left out'],
    ['etc/ssh/sshd_config', 'run', 'run', 'run'],
    ['var/log/nginx/access.log', 'left out', 'left out', 'left out'],
    ['var/log/nginx/', 'run', 'run', 'run'],
    ['etc/machine-id', 'run', 'run', 'run'],
  ];
  for (const [path, ...expected] of cases) {
    const found = [verdict([], NONE, path), verdict(['gentoo'], NONE, path), verdict(['debian'], NONE, path)];
    assert.deepEqual(found, expected, path);
  }
});

test('patterns are those of gitignore(5): a later one decides, and takes defaults back', () => {
  const own: LayerPatterns = {
    extra: [
      '# a comment',
      '',
      '*.log',
      '!keep.log',
      '/only-at-the-root',
      'build/',
      '!/usr/share/doc/**',
      'a/**/z',
      'x?y',
      '[ab].c',
      '\\!odd',
    ],
    exclude: ['*.bak', '!/etc/*.bak', '/srv/*', '!/srv/www', '!/etc/ssh/ssh_host_*_key'],
  };
  const cases: [path: string, expected: string][] = [
    ['deep/er/x.log', 'extra'],
    ['deep/keep.log', 'run'],
    ['only-at-the-root', 'extra'],
    ['not/only-at-the-root', 'run'],
    ['src/build/', 'extra'],
    ['src/build', 'run'],
    ['usr/share/doc/bash/README', 'run'],
    ['a/z', 'extra'],
    ['a/b/c/z', 'extra'],
    ['x1y', 'extra'],
    ['x/y', 'run'],
    ['b.c', 'extra'],
    ['c.c', 'run'],
    ['!odd', 'extra'],
    ['# a comment', 'run'],
    ['home/x.bak', 'left out'],
    ['etc/x.bak', 'run'],
    ['srv/ftp/', 'left out'],
    ['srv/www/', 'run'],
    ['etc/ssh/ssh_host_ed25519_key', 'run'],
    ['X.LOG', 'run'],
  ];
  for (const [path, expected] of cases) assert.equal(verdict([], own, path), expected, path);
});

function utf8(text: string): string {
  return Buffer.from(text).toString('latin1');
}

test('patterns and names are bytes: what is not ASCII, or not UTF-8, or has a newline in it', () => {
  const matches = patternMatcher(['caf\u00e9', '*.\u00fc', 'line*', '/d/']);
  assert.ok(matches(utf8('caf\u00e9'), false));
  assert.ok(matches(utf8('x/caf\u00e9'), false));
  assert.ok(!matches('caf\xe9', false), 'the same letter in another encoding is another name');
  assert.ok(matches(utf8('x.\u00fc'), false));
  assert.ok(matches('\xff\xfe.' + utf8('\u00fc'), false));
  assert.ok(matches('line\nbreak', false));
  assert.ok(!matches('d', false));
  assert.ok(matches('d', true));
  assert.ok(matches('d/\xff', false));
});

const EMPTY_TREE = [plain('', DIR), plain('etc', DIR)];

/** The entries of a packed tree by path: their layers. */
async function layersOf(
  t: TestContext,
  things: readonly ThingToMake[],
  texts: Record<string, string>,
  options?: PackOptions,
): Promise<Record<string, string>> {
  const base = await scratch(t);
  const tree = join(base, 'tree');
  await makeTree(tree, [...EMPTY_TREE, ...things]);
  for (const [path, text] of Object.entries(texts)) await writeFile(join(tree, path), text);
  const store = await Store.open(join(base, 'store'));
  const { id } = await pack(tree, store, options);
  const entries = parseManifest(await store.readManifest(id));
  return Object.fromEntries(entries.map(({ path, layer }) => [path, layer]));
}

test('a tree says what more is extra and what is left out, and who packs it has the last word', async (t) => {
  const found = await layersOf(
    t,
    [
      ...['srv', 'srv/data', 'var', 'var/db', 'var/db/repos'].map((path) => plain(path, DIR)),
      ...['srv/data/a', 'srv/data/b', 'srv/c.iso', 'srv/d.iso', 'var/db/repos/x'].map((path) =>
        plain(path, dense(1)),
      ),
    ],
    {
      'etc/gentoo-release': 'Gentoo Base System release 2.17\n',
      'etc/bladeroot.extra': '# bulky\n/srv/data/\n*.iso\n',
      'etc/bladeroot.exclude': 'b\n',
    },
    { patterns: { extra: ['!d.iso'], exclude: ['/etc/bladeroot.*'] } },
  );
  assert.deepEqual(found, {
    '': 'run',
    etc: 'run',
    'etc/gentoo-release': 'run',
    srv: 'run',
    'srv/c.iso': 'extra',
    'srv/d.iso': 'run',
    'srv/data': 'extra',
    'srv/data/a': 'extra',
    var: 'run',
    'var/db': 'run',
    'var/db/repos': 'run',
    'var/db/repos/x': 'extra',
  });
});

test('a machine leaves no identity and no traces: scratch space is empty, the machine id an empty file', async (t) => {
  const base = await scratch(t);
  const tree = join(base, 'tree');
  const kept = [
    ...EMPTY_TREE,
    plain('etc/machine-id', dense(0), { mode: 0o444, xattrs: { 'user.x': '00' } }),
    plain('run', DIR, { mode: 0o1777 }),
    plain('dev', DIR),
    plain('var', DIR),
    plain('var/log', DIR),
    plain('var/log/link', { type: 'symlink', target: 'x' }),
  ];
  const things = [
    ...kept.filter(({ path }) => path !== 'etc/machine-id'),
    plain('etc/machine-id', dense(33), { mode: 0o444, xattrs: { 'user.x': '00' } }),
    plain('dev/null', { type: 'char', major: 1, minor: 3 }),
    plain('run/x', DIR),
    plain('run/x/y', dense(1)),
    plain('var/log/x', dense(1)),
  ];
  await makeTree(tree, things);
  await makeTree(join(base, 'kept'), kept);
  const store = await Store.open(join(base, 'store'));
  const { statement } = await pack(tree, store);
  await unpack(store, statement, join(base, 'out'));
  await assertSameTree(join(base, 'out'), join(base, 'kept'));
});

test('a layer is whole by itself and with the other laid over it, with hard links between the two', async (t) => {
  const base = await scratch(t);
  const [tree, out, only] = [join(base, 'tree'), join(base, 'out'), join(base, 'only')];
  const layered = [
    ...['usr', 'usr/share', 'usr/share/man', 'usr/src', 'zz'].map((path) =>
      plain(path, DIR, { mode: 0o2755, mtime: '5' }),
    ),
    plain('run-only', dense(3000)),
  ];
  const extra: ThingToMake[] = [
    // The first name of each group is of `extra`, or of `run`, or all are of one.
    plain('usr/share/man/first', dense(9000), { mode: 0o4755 }),
    plain('usr/src/large', dense(9 * 1024 * 1024)),
    plain('usr/src/device', { type: 'char', major: 1, minor: 3 }),
    plain('usr/src/link', { type: 'symlink', target: 'x' }),
    plain('usr/src/alone', dense(100)),
    plain('usr/src/empty-dir', DIR, { mode: 0o700 }),
  ];
  const linked: ThingToMake[] = ['first', 'second'].map((name) => ({
    type: 'hardlink',
    path: `zz/${name}`,
    target: 'usr/share/man/first',
  }));
  for (const name of ['large', 'device', 'link'])
    linked.push({ type: 'hardlink', path: `zz/${name}`, target: `usr/src/${name}` });
  linked.push({ type: 'hardlink', path: 'usr/src/of-run', target: 'run-only' });
  linked.push({ type: 'hardlink', path: 'usr/src/alone-too', target: 'usr/src/alone' });
  await makeTree(tree, [...EMPTY_TREE, ...layered, ...extra, ...linked]);

  // What is of `run`, as it would be made were there nothing else.
  await makeTree(only, [
    ...EMPTY_TREE,
    ...layered,
    plain('zz/first', dense(9000), { mode: 0o4755 }),
    { type: 'hardlink', path: 'zz/second', target: 'zz/first' },
    plain('zz/large', dense(9 * 1024 * 1024)),
    plain('zz/device', { type: 'char', major: 1, minor: 3 }),
    plain('zz/link', { type: 'symlink', target: 'x' }),
  ]);
  const store = await Store.open(join(base, 'store'));
  const { statement } = await pack(tree, store);
  await unpack(store, statement, out, { layers: ['run'] });
  await makeTree(
    only,
    ['', 'zz'].map((path) => plain(path, DIR, path === '' ? {} : { mode: 0o2755, mtime: '5' })),
  );
  await assertSameTree(out, only);
  await unpack(store, statement, out, { layers: ['run', 'extra'] });
  await assertSameTree(out, tree);
  await unpack(store, statement, out, { layers: ['run'] });
  await assertSameTree(out, only);
});
