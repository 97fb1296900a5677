import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { EntryFinder } from './entry-finder.ts';
import type { HardlinkEntry } from './manifest.ts';

test('whatever is looked for, in any order, is found if and only if it is there', () => {
  const path = fc.string({ unit: fc.constantFrom('a', 'b', '/', '\xff'), maxLength: 4 });
  fc.assert(
    fc.property(fc.uniqueArray(path), fc.array(path), (there, lookedFor) => {
      const entries = there
        .toSorted((a, b) => (a < b ? -1 : 1))
        .map((each): HardlinkEntry => ({ path: each, layer: 'run', type: 'hardlink', target: '' }));
      const finder = new EntryFinder(entries);
      for (const each of [...lookedFor, ...entries.map(({ path: own }) => own), ...lookedFor]) {
        assert.deepEqual(
          finder.entryOf(each),
          entries.find((entry) => entry.path === each),
        );
        const place = finder.placeOf(each);
        assert.equal(
          place === undefined ? undefined : entries[place]?.path,
          there.includes(each) ? each : undefined,
        );
      }
    }),
  );
});
