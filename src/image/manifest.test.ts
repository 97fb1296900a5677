import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { fromText, type BytePath } from './byte-path.ts';
import {
  encodeManifest,
  parseManifest,
  type DirEntry,
  type Extent,
  type FileEntry,
  type ManifestEntry,
} from './manifest.ts';

const META = { mode: 0o755, uid: 0, gid: 0, mtime: '1700000000.5', xattrs: new Map<string, Buffer>() };
const ROOT: DirEntry = { path: '', layer: 'run', type: 'dir', ...META };
const dir = (path: string): DirEntry => ({ ...ROOT, path });
const symlink = (path: string, target: string): ManifestEntry => ({
  path,
  layer: 'run',
  type: 'symlink',
  target,
  ...META,
});
const file = (path: string): FileEntry => ({
  path,
  layer: 'run',
  type: 'file',
  size: 3,
  objects: [{ digest: 'ab'.repeat(32), size: 3 }],
  extents: undefined,
  ...META,
});
const objectOf = (size: number): { digest: string; size: number } => ({ digest: '0f'.repeat(32), size });
const hardlink = (path: string, target: string): ManifestEntry => ({
  path,
  layer: 'run',
  type: 'hardlink',
  target,
});

const sparse = (extents: Extent[]): ManifestEntry => ({ ...file('a'), extents });

const name = fc
  .uint8Array({ minLength: 1, maxLength: 8 })
  .map((bytes): BytePath => Buffer.from(bytes).toString('latin1').replaceAll(/[/\0]/g, '_'))
  .filter((text) => text !== '.' && text !== '..');
const xattrs = fc
  .uniqueArray(fc.tuple(name, fc.uint8Array({ maxLength: 20 })), { selector: ([key]) => key, maxLength: 3 })
  .map(
    (pairs) =>
      new Map(
        pairs.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => [key, Buffer.from(value)] as const),
      ),
  );
const metadata = fc.record({
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.integer({ min: 0, max: 0xfffffffe }),
  gid: fc.constantFrom(0, 50, 0xfffffffe),
  mtime: fc.constantFrom('0', '-1.5', '-0.000000001', '1700000000.123456789', '99999999999'),
  xattrs,
});
const thing = fc.oneof(
  fc.constant({ type: 'dir' } as const),
  fc.constant({ type: 'fifo' } as const),
  fc.constant({ type: 'file' as const, size: 0, objects: [], extents: undefined }),
  fc.constant({ type: 'file' as const, size: 7, objects: [objectOf(7)], extents: undefined }),
  fc.constant({ type: 'file' as const, size: 9, objects: [objectOf(4), objectOf(5)], extents: undefined }),
  fc.constant({ type: 'file' as const, size: 2 ** 40, objects: [], extents: [] }),
  fc.constant({
    type: 'file' as const,
    size: 100,
    objects: [objectOf(30)],
    extents: [
      [0, 10],
      [20, 20],
    ] as const,
  }),
  fc.record({ type: fc.constant('symlink' as const), target: name }),
  fc.record({
    type: fc.constantFrom('char' as const, 'block' as const),
    major: fc.nat(4095),
    minor: fc.nat(),
  }),
);
const tree = fc
  .uniqueArray(fc.tuple(name, thing, metadata, fc.constantFrom('run' as const, 'extra' as const)), {
    selector: ([path]) => path,
    maxLength: 8,
  })
  .map((list): ManifestEntry[] => {
    const below = list.map(([path, what, meta, layer]) => ({ path, layer, ...what, ...meta }));
    return [ROOT, ...below.sort((a, b) => (a.path < b.path ? -1 : 1))];
  });

test('every manifest survives encoding and parsing', () => {
  fc.assert(
    fc.property(tree, (entries) => {
      assert.deepEqual(parseManifest(encodeManifest(entries)), entries);
    }),
    { numRuns: 300 },
  );
});

test('no altered byte makes another manifest that is not canonical, or ends other than as refused', () => {
  fc.assert(
    fc.property(tree, fc.nat(), fc.integer({ min: 1, max: 255 }), (entries, position, flip) => {
      const bytes = encodeManifest(entries);
      const at = position % bytes.length;
      bytes[at] = (bytes[at] ?? 0) ^ flip;
      try {
        assert.deepEqual(encodeManifest(parseManifest(bytes)), bytes);
      } catch (error) {
        assert.match(String(error), /line \d+ of the manifest is refused/);
      }
    }),
    { numRuns: 500 },
  );
});

test('a name that is not UTF-8 has one form, and one that is has another', () => {
  const text = encodeManifest([ROOT, symlink(fromText('caf\u00e9'), '\xff')]).toString();
  assert.match(text, /"path":"caf\u00e9","type":"symlink".*"target64":"\/w=="/);
  const other = text.replace(
    '"path":"caf\u00e9"',
    `"path64":"${Buffer.from('caf\u00e9').toString('base64')}"`,
  );
  assert.throws(() => parseManifest(Buffer.from(other)), /canonical/);
});

test('a hostile manifest is refused, with the line and the reason', () => {
  const cases: [ManifestEntry[], RegExp][] = [
    [[dir('etc')], /root directory/],
    [[ROOT, file('/etc')], /stay in the tree/],
    [[ROOT, dir('a'), file('a/../../etc')], /stay in the tree/],
    [[ROOT, dir('..'), file('../passwd')], /stay in the tree/],
    [[ROOT, dir('.')], /stay in the tree/],
    [[ROOT, file('a/')], /stay in the tree/],
    [[ROOT, dir('a'), file('a//b')], /stay in the tree/],
    [[ROOT, file('a\0b')], /stay in the tree/],
    [[ROOT, symlink('out', '/etc'), file('out/passwd')], /no directory/],
    [[ROOT, file('a'), file('a/b')], /no directory/],
    [[ROOT, file('missing/b')], /no directory/],
    [[ROOT, file('a'), hardlink('b', 'a'), file('b/c')], /no directory/],
    [[ROOT, file('a'), file('a')], /in order/],
    [[ROOT, file('b'), file('a')], /in order/],
    [[ROOT, hardlink('a', '/etc/shadow')], /hard link/],
    [[ROOT, hardlink('a', 'b'), file('b')], /hard link/],
    [[ROOT, dir('a'), hardlink('b', 'a')], /hard link/],
    [[ROOT, file('a'), hardlink('b', 'a'), hardlink('c', 'b')], /hard link/],
    [[ROOT, { ...dir('a'), layer: 'extra' }, file('a/b')], /layer run/],
    [[ROOT, symlink('a', '')], /target/],
    [[ROOT, sparse([[0, 3]])], /no holes/],
    [[ROOT, sparse([[1, 3]])], /lie in the file/],
    [
      [
        ROOT,
        sparse([
          [0, 1],
          [1, 1],
        ]),
      ],
      /lie in the file/,
    ],
    [[{ ...ROOT, mtime: '-0' }], /mtime/],
    [[{ ...ROOT, mtime: '1.50' }], /mtime/],
    [[{ ...ROOT, uid: 2 ** 32 }], /uid/],
    [
      [
        ROOT,
        {
          ...dir('a'),
          xattrs: new Map([
            ['b', Buffer.alloc(0)],
            ['a', Buffer.alloc(0)],
          ]),
        },
      ],
      /xattrs/,
    ],
  ];
  for (const [entries, reason] of cases) {
    assert.throws(() => parseManifest(encodeManifest(entries)), {
      code: 'MANIFEST_INVALID',
      message: reason,
    });
  }
});

test('what is not the canonical form is refused: spaces, other keys, defaults written out, a missing end', () => {
  const good = encodeManifest([ROOT, file('a')]).toString();
  const spoiled = [
    good.replace('"type":"file"', '"type": "file"'),
    good.replace('"type":"file"', '"type":"file","layer":"run"'),
    good.replace('"size":3', '"size":3,"extra":1'),
    good.replace('"size":3,', ''),
    good.replace('"path":"a"', '"path":"\\u0061"'),
    good.replace('"version":1', '"version":2'),
    good.slice(0, -1),
    `${good}\n`,
  ];
  for (const text of spoiled) {
    assert.throws(() => parseManifest(Buffer.from(text)), { code: 'MANIFEST_INVALID' }, text);
  }
  assert.throws(() => parseManifest(Buffer.from(good.replace('"a"', '"\xff"'), 'latin1')), /UTF-8/);
});

test('200,000 entries are read in seconds', () => {
  const entries: ManifestEntry[] = [ROOT, dir('d')];
  for (let i = 0; i < 200_000; i++) entries.push(file(`d/file-${String(i).padStart(6, '0')}`));
  const bytes = encodeManifest(entries);
  const started = performance.now();
  assert.equal(parseManifest(bytes).length, entries.length);
  const seconds = (performance.now() - started) / 1000;
  assert.ok(seconds < 10, `${seconds} s`);
});
