import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { sha256 } from '../store/digest.ts';
import { MAX_OBJECT_SIZE } from '../store/frame.ts';
import { Cutter } from './cut.ts';

const MIB = 1024 * 1024;
const MIN_PART = 2 * MIB;

/** Random bytes, the same for the same seed: splitmix32. */
function noise(length: number, seed: number): Buffer {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed >>> 0;
  for (let i = 0; i < words.length; i++) {
    state = (state + 0x9e3779b9) >>> 0;
    let word = state;
    word = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
    word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
    words[i] = word ^ (word >>> 15);
  }
  return Buffer.from(words.buffer, 0, length);
}

function cut(content: Uint8Array, chunkLengths: readonly number[] = [content.length]): number[] {
  const cutter = new Cutter();
  for (let at = 0, i = 0; at < content.length; i++) {
    const end = at + (chunkLengths[i % chunkLengths.length] ?? content.length);
    cutter.add(content.subarray(at, end));
    at = end;
  }
  return cutter.finish();
}

function digests(content: Buffer, lengths: readonly number[]): string[] {
  let end = 0;
  return lengths.map((length) => sha256(content.subarray(end, (end += length))));
}

/** What is hard to cut: nothing but zeros, short periods, noise between zeros. */
const content = fc
  .array(
    fc.record({
      kind: fc.constantFrom('noise', 'zeros', 'period'),
      length: fc.integer({ min: 1, max: 6 * MIB }),
      seed: fc.nat(),
    }),
    { maxLength: 4 },
  )
  .map((pieces) =>
    Buffer.concat(
      pieces.map(({ kind, length, seed }) => {
        if (kind === 'noise') return noise(length, seed);
        return Buffer.alloc(length, kind === 'zeros' ? 0 : noise(1 + (seed % 100), seed));
      }),
    ),
  );

test('the parts are all of the content, and neither too short nor too long', () => {
  fc.assert(
    fc.property(content, (bytes) => {
      const parts = cut(bytes);
      assert.equal(
        parts.reduce((sum, length) => sum + length, 0),
        bytes.length,
      );
      for (const [i, length] of parts.entries()) {
        assert.ok(length > 0 && length <= MAX_OBJECT_SIZE, `${length}`);
        assert.ok(length >= MIN_PART || i === parts.length - 1, `${length}`);
      }
    }),
    { numRuns: 25 },
  );
});

test('the cuts are the same however the bytes come', () => {
  const lengths = fc.array(
    fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1000, max: 3 * MIB })),
    {
      minLength: 1,
      maxLength: 10,
    },
  );
  fc.assert(
    fc.property(content, lengths, (bytes, chunkLengths) => {
      // Some chunks of a few bytes, without a million of them.
      assert.deepEqual(cut(bytes, [...chunkLengths, MIB]), cut(bytes));
    }),
    { numRuns: 25 },
  );
  for (const around of [-33, -32, -31, -1, 0, 1, 31, 32, 33]) {
    const bytes = noise(9 * MIB, 5);
    assert.deepEqual(cut(bytes, [MIN_PART + around]), cut(bytes), `${around}`);
  }
});

test('the cuts stay where they were in the files of older snapshots', () => {
  assert.deepEqual(cut(noise(24 * MIB, 1)), FIXED);
  assert.deepEqual(cut(Buffer.alloc(20 * MIB)), FIXED_ZEROS);
});

test('what is put in, taken out or changed anywhere makes few parts new', () => {
  const old = noise(48 * MIB, 7);
  const known = new Set(digests(old, cut(old)));
  const changed: [what: string, content: Buffer][] = [
    ['put in at the front', Buffer.concat([Buffer.from('new'), old])],
    ['much put in at the front', Buffer.concat([noise(100_000, 8), old])],
    ['put in the middle', Buffer.concat([old.subarray(0, 20 * MIB), noise(1000, 9), old.subarray(20 * MIB)])],
    ['taken out', Buffer.concat([old.subarray(0, 10 * MIB), old.subarray(10 * MIB + 5)])],
    ['put in at the end', Buffer.concat([old, noise(1000, 10)])],
    [
      'another byte',
      Buffer.concat([
        old.subarray(0, 30 * MIB),
        Buffer.of((old[30 * MIB] ?? 0) ^ 1),
        old.subarray(30 * MIB + 1),
      ]),
    ],
  ];
  assert.ok(known.size > 8, `${known.size} parts`);
  for (const [what, now] of changed) {
    const fresh = digests(now, cut(now)).filter((digest) => !known.has(digest));
    assert.ok(fresh.length <= 3, `${what}: ${fresh.length} of ${known.size} parts are new`);
  }
});

test('most parts are between 2 and 8 MiB by what is in them, not by the limits', () => {
  const parts = cut(noise(96 * MIB, 11)).slice(0, -1);
  const atLimit = parts.filter((length) => length === MAX_OBJECT_SIZE || length === MIN_PART).length;
  assert.ok(atLimit <= parts.length / 4, `${atLimit} of ${parts.length}`);
});

/** Of what `noise` makes, and of zeros: were they to change, all files over 8 MiB would be new in every store. */
const FIXED = [3_262_484, 4_588_309, 5_720_661, 5_834_778, 4_296_547, 1_463_045];
const FIXED_ZEROS = [8 * MIB, 8 * MIB, 4 * MIB];
