/** What a manifest may say that comes from elsewhere: it is refused with its line, in little time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { BladerootError } from '../errors.ts';
import { sha256 } from '../store/digest.ts';
import { applyManifestDelta, encodeManifestDelta } from './manifest-delta.ts';
import { encodeManifest, parseManifest, type ManifestEntry } from './manifest.ts';

const MIB = 1024 * 1024;
const HEADER = encodeManifest([]).toString();

/** Lines that look like those of a manifest, with hostile values. */
const line = fc
  .record(
    {
      path: fc.oneof(
        fc.constantFrom(
          '',
          '..',
          '.',
          '/',
          '/etc',
          'a',
          'a/b',
          'a/..',
          '../a',
          'a//b',
          'a/./b',
          'a\0',
          '\u0000',
        ),
        fc.string(),
      ),
      path64: fc.constantFrom('Li4=', 'Li4vYQ==', '/w==', 'not base64!', ''),
      type: fc.constantFrom(
        'file',
        'dir',
        'symlink',
        'hardlink',
        'char',
        'block',
        'fifo',
        'socket',
        '__proto__',
      ),
      layer: fc.constantFrom('run', 'extra', 'other'),
      mode: fc.constantFrom('0755', '7777', '10000', '755', -1),
      uid: fc.constantFrom(0, 1, -1, 2 ** 32, 0.5, '0'),
      mtime: fc.constantFrom('0', '-0', '1.50', '-1.5', '1e9', '9'.repeat(19), '9'.repeat(20)),
      size: fc.constantFrom(0, 1, 2 ** 53, -1, 'big'),
      object: fc.constantFrom('a'.repeat(64), 'A'.repeat(64), ''),
      objects: fc.constantFrom<unknown>([], [{}], [{ digest: 'a'.repeat(64), size: 1 }], 'none'),
      data: fc.constantFrom<unknown>(
        [],
        [[0, 1]],
        [[0, 2 ** 53]],
        [
          [5, 1],
          [0, 1],
        ],
        [[0]],
        [[0, 0]],
        {},
      ),
      target: fc.constantFrom('a', '', '..', '/etc/shadow', 'a\0b'),
      major: fc.constantFrom(0, -1, 2 ** 32),
      minor: fc.constantFrom(0, 2 ** 32 - 1),
      xattrs: fc.constantFrom<unknown>(
        [],
        [{}],
        [{ name: 'user.a', value64: '' }],
        [{ name: '', value64: '=' }],
      ),
    },
    { requiredKeys: ['type'] },
  )
  .map((value) => JSON.stringify(value));

const hostileManifest = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc.array(fc.oneof(line, fc.json(), fc.string()), { maxLength: 6 }).map((lines) => {
    const root = '{"path":"","type":"dir","mode":"0755","mtime":"0"}';
    return Buffer.from(`${HEADER}${[root, ...lines].join('\n')}\n`);
  }),
);

test('whatever a manifest says is refused with its line, or is a tree that stays where it is', () => {
  fc.assert(
    fc.property(hostileManifest, (bytes) => {
      let entries: ManifestEntry[];
      try {
        entries = parseManifest(bytes);
      } catch (error) {
        assert.ok(error instanceof BladerootError, String(error));
        assert.equal(error.code, 'MANIFEST_INVALID');
        assert.ok(error.message.length < 1000);
        return;
      }
      assert.deepEqual(encodeManifest(entries), bytes);
      for (const { path } of entries.slice(1)) {
        assert.ok(
          !path.startsWith('/') && path.split('/').every((name) => !['', '.', '..'].includes(name)),
          path,
        );
      }
    }),
    { numRuns: 3000 },
  );
});

test('a manifest that makes much work is refused in seconds', () => {
  const root = '{"path":"","type":"dir","mode":"0755","mtime":"0"}\n';
  const laborious = {
    'deep lists': `${'['.repeat(MIB)}${']'.repeat(MIB)}\n`,
    'a long path': `{"path":"${'a/'.repeat(MIB)}","type":"dir","mode":"0755","mtime":"0"}\n`,
    'dots and slashes': `{"path":"${'../'.repeat(MIB)}","type":"dir","mode":"0755","mtime":"0"}\n`,
    'a long number': `{"path":"a","type":"dir","mode":"0755","mtime":"${'1'.repeat(MIB)}"}\n`,
    'many lines': '\n'.repeat(4 * MIB),
    'many xattrs': `{"path":"a","type":"dir","mode":"0755","mtime":"0","xattrs":[${'{},'.repeat(MIB)}{}]}\n`,
  };
  for (const [what, text] of Object.entries(laborious)) {
    const begun = performance.now();
    assert.throws(() => parseManifest(Buffer.from(HEADER + root + text)), { code: 'MANIFEST_INVALID' }, what);
    const seconds = (performance.now() - begun) / 1000;
    assert.ok(seconds < 5, `${what}: ${seconds} s`);
  }
});

test('a manifest made from another is the one that was asked for, or refused, and never longer', () => {
  const lines = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,9}$/), { maxLength: 20 }).map((all) =>
    Buffer.from(
      all
        .sort()
        .map((each) => `${each}\n`)
        .join(''),
    ),
  );
  fc.assert(
    fc.property(lines, lines, (base, manifest) => {
      const delta = encodeManifestDelta(manifest, base);
      assert.deepEqual(applyManifestDelta(delta, base, sha256(manifest), manifest.length), manifest);
    }),
  );
  const command = fc.tuple(fc.nat(30), fc.nat(30)).map(([first, count]) => `=${first},${count}\n`);
  const wild = fc.array(
    fc.oneof(command, fc.constantFrom('=0,9999999999\n', '=-1,2\n', '=1\n', '=,\n', '=1,1'), fc.string()),
  );
  fc.assert(
    fc.property(lines, wild, (base, parts) => {
      const delta = Buffer.from(parts.join(''));
      assert.throws(() => applyManifestDelta(delta, base, '0'.repeat(64), 1000), {
        code: 'MANIFEST_DAMAGED',
      });
    }),
    { numRuns: 500 },
  );
  // 24 MiB of commands that would become 8 TiB.
  const base = Buffer.from(`${'x'.repeat(MIB - 1)}\n`);
  const begun = performance.now();
  assert.throws(
    () => applyManifestDelta(Buffer.from('=0,1\n'.repeat(4 * MIB)), base, '0'.repeat(64), 9 * MIB),
    {
      code: 'MANIFEST_DAMAGED',
    },
  );
  assert.ok(performance.now() - begun < 2000);
});
