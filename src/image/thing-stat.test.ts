import assert from 'node:assert/strict';
import { lstatSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { StampList, ThingStat } from './thing-stat.ts';

test('a list of stamps says what each thing said, whatever its inode, size and times', () => {
  const real = lstatSync('.', { bigint: true });
  const inode = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  const size = fc.bigInt({ min: 0n, max: BigInt(Number.MAX_SAFE_INTEGER) });
  // The seconds that ext4 and XFS know, and more.
  const time = fc.bigInt({ min: -(2n ** 40n) * 10n ** 9n, max: 2n ** 40n * 10n ** 9n });
  const stat = fc
    .record({ ino: inode, size, mtimeNs: time, ctimeNs: time })
    .map((values) => new ThingStat(Object.assign(Object.create(real), values)));
  fc.assert(
    fc.property(fc.array(stat, { maxLength: 5 }), (stats) => {
      const list = new StampList(stats.length);
      for (const [place, each] of stats.entries()) list.set(place, each);
      for (const [place, { stamp, ctime }] of stats.entries()) {
        assert.deepEqual([list.text(place), list.ctime(place)], [stamp, ctime]);
      }
    }),
  );
});
