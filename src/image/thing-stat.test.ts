import assert from 'node:assert/strict';
import { lstatSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { stampOf, StampList, StatList, thingStat } from './thing-stat.ts';

const REAL = lstatSync('.', { bigint: true });

const half = fc.bigInt({ min: 0n, max: 2n ** 32n - 1n });
const inode = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const size = fc.bigInt({ min: 0n, max: BigInt(Number.MAX_SAFE_INTEGER) });
// The seconds that ext4 and XFS know, and more.
const time = fc.bigInt({ min: -(2n ** 40n) * 10n ** 9n, max: 2n ** 40n * 10n ** 9n });
// The types of <sys/stat.h>.
const mode = fc
  .tuple(fc.constantFrom(1n, 2n, 4n, 6n, 8n, 10n, 12n), fc.bigInt({ min: 0n, max: 0o7777n }))
  .map(([type, permissions]) => (type << 12n) | permissions);
const stat = fc
  .record({
    ino: inode,
    size,
    mtimeNs: time,
    ctimeNs: time,
    mode,
    uid: half,
    gid: half,
    nlink: half,
    dev: half,
    rdev: inode,
    blocks: half,
  })
  .map((values) => thingStat(Object.assign(Object.create(REAL), values)));

test('a list of things says of each what lstat said, whatever its inode, owner, size and times', () => {
  fc.assert(
    fc.property(fc.array(stat, { maxLength: 5 }), (stats) => {
      const list = new StatList();
      for (const each of stats) list.add(each);
      assert.deepEqual(
        stats.map((_, place) => list.at(place)),
        stats,
      );
      assert.deepEqual(
        stats.map((_, place) => list.ctime(place)),
        stats.map(({ ctime }) => ctime),
      );
    }),
  );
});

test('a list of more things than one of its parts holds says the same', () => {
  const list = new StatList();
  const [template] = fc.sample(stat, 1);
  assert.ok(template !== undefined);
  for (let ino = 0n; ino < 10_000n; ino++) list.add({ ...template, ino });
  for (const place of [0, 4095, 4096, 8192, 9999]) {
    assert.deepEqual(list.at(place), { ...template, ino: BigInt(place) });
  }
  assert.throws(() => list.at(20_000));
});

test('stamps that were written down are the same just when those of the things are', () => {
  fc.assert(
    fc.property(fc.array(stat, { minLength: 1, maxLength: 5 }), stat, (stats, other) => {
      const list = new StatList();
      for (const each of [...stats, other]) list.add(each);
      const written = StampList.ofLength(stats.length);
      for (const place of stats.keys()) written.set(place, list.stamp(place));
      const read = StampList.from(written.bytes);
      assert.equal(read.length, stats.length);
      for (const [place, each] of stats.entries()) {
        assert.ok(read.isSame(place, list.stamp(place)));
        assert.equal(read.isSame(place, list.stamp(stats.length)), stampOf(each) === stampOf(other));
      }
    }),
  );
});
