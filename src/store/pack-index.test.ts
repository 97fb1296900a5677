/** An index comes from anywhere: what is wrong with it is said by one error, in little time and memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { BladerootError } from '../errors.ts';
import { sha256 } from './digest.ts';
import {
  compressPackIndex,
  encodePackIndex,
  openPackIndex,
  parsePackIndex,
  type PackIndex,
} from './pack-index.ts';

const digest = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));
const object = fc.record({ digest, size: fc.integer({ min: 1, max: 100_000 }) }, { noNullPrototype: true });

/** Indexes without contradictions: a frame an object, some of them patches. */
const packIndex: fc.Arbitrary<Omit<PackIndex, 'format' | 'version'>> = fc
  .record({
    layer: fc.constantFrom('run' as const, 'extra' as const),
    objects: fc.uniqueArray(object, { selector: (each) => each.digest, minLength: 1, maxLength: 6 }),
    patches: fc.array(fc.option(digest, { nil: undefined }), { minLength: 6, maxLength: 6 }),
  })
  .map(({ layer, objects, patches }) => {
    const own = new Set(objects.map((each) => each.digest));
    const frames = objects.map(({ size }, i) => {
      const base = patches[i];
      const isPatch = base !== undefined && !own.has(base);
      return { bytes: size + 1, size, ...(isPatch && { bases: [{ digest: base, size: 9 }] }) };
    });
    const bytes = frames.reduce((sum, frame) => sum + frame.bytes, 0);
    const pieces = Array.from({ length: Math.ceil(bytes / 2 ** 20) }, (_, i) => sha256(Buffer.of(i)));
    return { layer, bytes, pieces, frames, objects };
  });

/** What is put in the place of a value. */
const odd = fc.constantFrom<unknown>(
  null,
  -1,
  0,
  0.5,
  1e300,
  2 ** 53,
  '',
  'x',
  '0'.repeat(64),
  [],
  {},
  [[]],
  true,
);

/** Something somewhere in a JSON value is another, or gone. */
function spoil(value: unknown, path: number, replacement: unknown): unknown {
  if (typeof value !== 'object' || value === null || path % 7 === 0) return replacement;
  const keys = Object.keys(value);
  const key = keys[path % keys.length];
  if (key === undefined) return replacement;
  const changed: unknown = spoil(Reflect.get(value, key), Math.floor(path / 7), replacement);
  if (Array.isArray(value)) return value.map((each: unknown, i) => (String(i) === key ? changed : each));
  return { ...value, [key]: changed };
}

function parse(bytes: Buffer): PackIndex {
  return parsePackIndex(sha256(bytes), bytes, 'a test');
}

/** Refused as it should be, and in few words. */
function assertDamaged(work: () => unknown): void {
  assert.throws(work, (error) => {
    assert.ok(error instanceof BladerootError, String(error));
    assert.equal(error.code, 'PACK_INDEX_DAMAGED');
    assert.ok(error.message.length < 1000, `${error.message.length} characters`);
    return true;
  });
}

test('every index comes back as it was stored', async () => {
  await fc.assert(
    fc.asyncProperty(packIndex, async (index) => {
      const bytes = encodePackIndex(index);
      const opened = await openPackIndex(sha256(bytes), compressPackIndex(bytes), 'a test');
      assert.deepEqual(opened, { format: 'bladeroot-pack', version: 1, ...index });
    }),
  );
});

test('an index with anything wrong in it is refused, even under its right id', () => {
  fc.assert(
    fc.property(packIndex, fc.nat(), odd, (index, path, replacement) => {
      const good = encodePackIndex(index).toString();
      const bad = JSON.stringify(spoil(JSON.parse(good), path, replacement));
      // A digest is as good as another.
      if (bad === good || replacement === '0'.repeat(64)) return;
      assertDamaged(() => parse(Buffer.from(bad)));
    }),
    { numRuns: 500 },
  );
});

test('any bytes at all are refused, by their id or for what they say', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      const buffer = Buffer.from(bytes);
      assertDamaged(() => parse(buffer));
      assertDamaged(() => parsePackIndex('0'.repeat(64), buffer, 'a test'));
      for (const stored of [buffer, zstdCompressSync(buffer)]) {
        await assert.rejects(openPackIndex(sha256(buffer), stored, 'a test'), { code: 'PACK_INDEX_DAMAGED' });
      }
    }),
  );
});

function withPieces(pieces: string): string {
  return `{"format":"bladeroot-pack","version":1,"layer":"run","bytes":1,"pieces":[${pieces}],"frames":[],"objects":[]}`;
}

test('an index that makes much work is refused in seconds', async () => {
  const many = 300_000;
  const laborious = {
    '300,000 wrong digests': withPieces('"",'.repeat(many) + '""'),
    'deep lists': '['.repeat(many) + ']'.repeat(many),
    'lists without an end': '['.repeat(3 * many),
    'many keys': `{${Array.from({ length: 100_000 }, (_, i) => `"k${i}":1`).join(',')}}`,
    'a long number': withPieces('1'.repeat(many)),
  };
  for (const [what, text] of Object.entries(laborious)) {
    const begun = performance.now();
    assertDamaged(() => parse(Buffer.from(text)));
    const seconds = (performance.now() - begun) / 1000;
    assert.ok(seconds < 8, `${what}: ${seconds} s`);
  }
  // 64 KiB that would become 2 GiB.
  const bomb = Buffer.concat(Array.from({ length: 32 }, () => zstdCompressSync(Buffer.alloc(64 * 2 ** 20))));
  const begun = performance.now();
  await assert.rejects(openPackIndex('0'.repeat(64), bomb, 'a test'), { code: 'PACK_INDEX_DAMAGED' });
  assert.ok(performance.now() - begun < 5000);
});
