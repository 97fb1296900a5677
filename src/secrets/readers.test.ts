import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseFleet } from '../fleet/load.ts';
import { differenceOf, readersByOverlay, recipientsOf } from './readers.ts';

/** Looks like a recipient, and is none. */
function fake(letter: string): string {
  return `age1${letter.repeat(58)}`;
}

const fleet = parseFleet(
  `name: lab
network: { subnet: 10.77.0.0/24 }
secrets: { recovery: [${fake('r')}] }
defaults: { overlays: [base] }
profiles: { web: { overlays: [web] } }
blades:
  web01: { mac: "52:54:00:77:00:11", address: 10.77.0.11, profile: web, recipient: ${fake('q')} }
  web02: { mac: "52:54:00:77:00:12", address: 10.77.0.12, profile: web }
  db01: { mac: "52:54:00:77:00:13", address: 10.77.0.13, recipient: ${fake('z')} }
`,
  ['base', 'web', 'unused'],
);
const readersOf = readersByOverlay(fleet);

test("an overlay's readers are the accepted blades that have it, and who recovers", () => {
  assert.deepEqual(readersOf('web'), {
    blades: new Map([['web01', fake('q')]]),
    waiting: ['web02'],
    recovery: [fake('r')],
  });
  assert.deepEqual(recipientsOf(readersOf('base')), [fake('q'), fake('r'), fake('z')]);
  assert.deepEqual(recipientsOf(readersOf('unused')), [fake('r')]);
});

test('a file differs by whom it lacks, by whom it has too many, or wholly where nothing is known', () => {
  const web = readersOf('web');
  assert.equal(differenceOf([fake('r'), fake('q')], web), undefined);
  assert.deepEqual(differenceOf([fake('r')], web), { missing: ['web01'], surplus: [] });
  assert.deepEqual(differenceOf([fake('q'), fake('z')], web), {
    missing: ['recovery'],
    surplus: [fake('z')],
  });
  assert.deepEqual(differenceOf(undefined, web), { missing: ['web01', 'recovery'], surplus: [] });
  assert.deepEqual(differenceOf(undefined, { blades: new Map(), waiting: [], recovery: [] }), {
    missing: [],
    surplus: [],
  });
});

test('whatever the readers are, a file that is encrypted to just them does not differ, and any other does', () => {
  const letters = fc.constantFrom(...'qpzry9x8');
  const some = fc.uniqueArray(letters.map(fake), { maxLength: 6 });
  const property = fc.property(some, some, some, (blades, recovery, others) => {
    const readers = {
      blades: new Map(blades.map((one, index) => [`b${index}`, one])),
      waiting: [],
      recovery,
    };
    const right = recipientsOf(readers);
    assert.equal(differenceOf(right.toReversed(), readers), undefined);
    const same = others.length === right.length && others.every((one) => right.includes(one));
    assert.equal(differenceOf(others, readers) === undefined, same);
  });
  fc.assert(property);
});
