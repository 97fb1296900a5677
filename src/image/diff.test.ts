import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diffManifests, type Aspect } from './diff.ts';
import type { FileEntry, ManifestEntry } from './manifest.ts';

const META = {
  layer: 'run',
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: '0',
  xattrs: new Map<string, Buffer>(),
} as const;

function file(path: string, changes: Partial<FileEntry> = {}): ManifestEntry {
  const objects = [{ digest: 'aa'.repeat(32), size: 5 }];
  return { ...META, type: 'file', path, size: 5, objects, extents: undefined, ...changes };
}

const OTHER = [{ digest: 'bb'.repeat(32), size: 7 }];

test('what is in one only is added or removed, with its size', () => {
  const difference = diffManifests([file('both'), file('old')], [file('both'), file('new', { size: 9 })]);
  assert.deepEqual(difference, {
    added: [{ path: 'new', type: 'file', size: 9 }],
    removed: [{ path: 'old', type: 'file', size: 5 }],
    changed: [],
  });
});

const CASES: [what: string, before: ManifestEntry, after: ManifestEntry, aspects: Aspect[]][] = [
  ['another content', file('x'), file('x', { objects: OTHER, size: 7 }), ['content']],
  ['a hole', file('x'), file('x', { extents: [[0, 5]] }), ['content']],
  ['another mode', file('x'), file('x', { mode: 0o4644 }), ['mode']],
  ['another owner or group', file('x'), file('x', { gid: 5 }), ['owner']],
  ['another time', file('x'), file('x', { mtime: '0.000000001' }), ['mtime']],
  ['other xattrs', file('x'), file('x', { xattrs: new Map([['user.a', Buffer.from('b')]]) }), ['xattrs']],
  ['another layer', file('x'), file('x', { layer: 'extra' }), ['layer']],
  [
    'a link to elsewhere',
    { ...META, type: 'symlink', path: 'x', target: 'a' },
    { ...META, type: 'symlink', path: 'x', target: 'b' },
    ['content'],
  ],
  [
    'a device of another number',
    { ...META, type: 'char', path: 'x', major: 1, minor: 3 },
    { ...META, type: 'char', path: 'x', major: 1, minor: 5 },
    ['content'],
  ],
  ['another kind of thing', file('x'), { ...META, type: 'fifo', path: 'x' }, ['content']],
  ['content and mode', file('x'), file('x', { objects: OTHER, mode: 0o600 }), ['content', 'mode']],
];

for (const [what, before, after, aspects] of CASES) {
  test(`a change is told by what differs: ${what}`, () => {
    assert.deepEqual(
      diffManifests([before], [after]).changed.map((change) => change.aspects),
      [aspects],
    );
    assert.deepEqual(diffManifests([after], [after]).changed, []);
  });
}

test('a hard link is the file that it names: only its links have changed where a new first name has come', () => {
  const before = [file('b'), { type: 'hardlink', path: 'c', target: 'b', layer: 'run' } as const];
  const links = ['b', 'c'].map((path) => ({ type: 'hardlink', path, target: 'a', layer: 'run' }) as const);
  const { added, removed, changed } = diffManifests(before, [file('a'), ...links]);
  assert.deepEqual(added, [{ path: 'a', type: 'file', size: 5 }]);
  assert.deepEqual(removed, []);
  assert.deepEqual(
    changed.map(({ after, aspects }) => [after.path, after.size, aspects]),
    [
      ['b', 5, ['links']],
      ['c', 5, ['links']],
    ],
  );
});
