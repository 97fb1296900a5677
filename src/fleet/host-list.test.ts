import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { BladerootError } from '../errors.ts';
import { expandHosts, expandRanges, foldHosts } from './host-list.ts';
import { parseFleet } from './load.ts';
import type { Fleet } from './schema.ts';

function fleetOf(blades: Record<string, string>): Fleet {
  const lines = Object.entries(blades).map(
    ([name, more], index) =>
      `  ${name}: { serial: "S${index}", address: 10.77.${Math.floor(index / 250)}.${(index % 250) + 2}${more} }`,
  );
  return parseFleet(
    `name: lab
network: { subnet: 10.77.0.0/16 }
profiles:
  web: { vars: { rack: 3 } }
  shop: { extends: web, vars: { role: front } }
  unused: {}
blades:
${lines.join('\n')}
`,
    [],
  );
}

const fleet = fleetOf({
  web01: ', profile: web',
  web02: ', profile: shop',
  web03: ', profile: web, vars: { rack: "4" }',
  mail01: ', vars: { rack: 4 }',
  db01: '',
});

test('blades are named by ranges, profiles, variables, all of them, and all but some', () => {
  const cases: [string[], string[]][] = [
    [['db01'], ['db01']],
    [['web[01-03]'], ['web01', 'web02', 'web03']],
    [['web[03,01-02]'], ['web03', 'web01', 'web02']],
    [['mail01,web[01,03]'], ['mail01', 'web01', 'web03']],
    [['@all'], ['web01', 'web02', 'web03', 'mail01', 'db01']],
    [['@profile:web'], ['web01', 'web02', 'web03']],
    [['@profile:shop'], ['web02']],
    [['@rack:3'], ['web01', 'web02']],
    [['@rack:4'], ['web03', 'mail01']],
    [['@role:front'], ['web02']],
    [
      ['@all', '!web[01-02]'],
      ['web03', 'mail01', 'db01'],
    ],
    [['!@profile:web'], ['mail01', 'db01']],
    [
      ['!web02', 'web[01-03]'],
      ['web01', 'web03'],
    ],
    [
      ['db01', 'db01', '@all,!web01,!web02,!web03'],
      ['db01', 'mail01'],
    ],
  ];
  for (const [patterns, blades] of cases) {
    assert.deepEqual(expandHosts(patterns, fleet), blades, patterns.join(' '));
  }
});

test('what the fleet does not have is an error that names what was meant', () => {
  const cases: [string, string, RegExp][] = [
    ['wbe01', 'UNKNOWN_BLADE', /^fleet lab has no blade wbe01; did you mean web01\?$/],
    ['web[02-05]', 'UNKNOWN_BLADE', /^fleet lab has no blade web04, web05 \(of web\[02-05\]\); did you mean/],
    ['!mial01', 'UNKNOWN_BLADE', /did you mean mail01/],
    ['toString', 'UNKNOWN_BLADE', /no blade toString/],
    ['@profile:wbe', 'UNKNOWN_PROFILE', /no profile wbe; did you mean web\?/],
    ['@profle:web', 'UNKNOWN_SELECTOR', /no blade of fleet lab has vars\.profle; did you mean profile\?/],
    ['@role:frnot', 'UNKNOWN_SELECTOR', /vars\.role: frnot; did you mean front\?/],
    ['@rack:7', 'UNKNOWN_SELECTOR', /no blade of fleet lab has vars\.rack: 7$/],
    ['@al', 'BAD_HOST_LIST', /"@al" is not one of @all, @profile:…, @rack:…, @role:…/],
    ['@profile:unused', 'NO_BLADES', /names no blade of fleet lab/],
    ['web01,!web01', 'NO_BLADES', /web01,!web01 names no blade/],
    ['web[01', 'BAD_HOST_LIST', /bracket without its other one/],
    ['web01]', 'BAD_HOST_LIST', /bracket without its other one/],
    ['web[[1]]', 'BAD_HOST_LIST', /bracket/],
    ['web[]', 'BAD_HOST_LIST', /neither a number nor a range/],
    ['web[1-]', 'BAD_HOST_LIST', /neither a number nor a range/],
    ['web[a-c]', 'BAD_HOST_LIST', /neither a number nor a range/],
    ['web[03-01]', 'BAD_HOST_LIST', /ends before it begins/],
    ['web[08-012]', 'BAD_HOST_LIST', /not of the same width/],
    ['web[1-99999999999]', 'BAD_HOST_LIST', /more than 100000 names/],
    ['web[1-1000][1-1000]', 'BAD_HOST_LIST', /more than 100000 names/],
    ['web01,', 'BAD_HOST_LIST', /nothing before or behind a comma/],
    ['', 'BAD_HOST_LIST', /nothing before/],
    ['!', 'BAD_HOST_LIST', /nothing before/],
  ];
  for (const [pattern, code, message] of cases) {
    assert.throws(
      () => expandHosts([pattern], fleet),
      (error) => error instanceof BladerootError && error.code === code && message.test(error.message),
      pattern,
    );
  }
});

test('a range names every number between its ends, as wide as it is written', () => {
  fc.assert(
    fc.property(fc.nat(5000), fc.nat(300), fc.integer({ min: 0, max: 6 }), (first, more, width) => {
      const written = (number: number): string => String(number).padStart(width, '0');
      fc.pre(width === 0 || written(first).length === written(first + more).length);
      const names = expandRanges(`n[${written(first)}-${written(first + more)}]x`);
      assert.deepEqual(
        names,
        Array.from({ length: more + 1 }, (_, index) => `n${written(first + index)}x`),
      );
    }),
  );
});

/** Names such as web7, mail012. */
const name = fc
  .tuple(fc.constantFrom('web', 'mail', 'r1n'), fc.integer({ min: 0, max: 30 }), fc.constantFrom(1, 2, 3))
  .map(([stem, number, width]) => stem + String(number).padStart(width, '0'));
const names = fc.uniqueArray(name, { minLength: 1, maxLength: 20 });

test('names are folded into ranges', () => {
  assert.equal(
    foldHosts(['web03', 'web01', 'mail01', 'web02', 'db', 'web9', 'web10']),
    'web[01-03,10],mail01,db,web9',
  );
});

test('what is folded into brackets is the same set, and each blade is named once', () => {
  fc.assert(
    fc.property(names, fc.subarray([0, 1, 2, 3, 4, 5, 6]), (blades, picked) => {
      const some = fleetOf(Object.fromEntries(blades.map((blade) => [blade, ''])));
      const chosen = picked.flatMap((index) => blades[index] ?? []);
      if (chosen.length === 0) return;
      const expanded = expandHosts([foldHosts(chosen), ...chosen], some);
      assert.equal(new Set(expanded).size, expanded.length);
      assert.deepEqual(expanded.toSorted(), chosen.toSorted());
      assert.deepEqual(expandHosts([foldHosts(chosen)], some).toSorted(), chosen.toSorted());
    }),
  );
});

test('what is wanted and what is left out are all blades together, and share none', () => {
  fc.assert(
    fc.property(names, fc.nat(19), (blades, cut) => {
      const some = fleetOf(Object.fromEntries(blades.map((blade) => [blade, ''])));
      const chosen = blades.slice(0, cut);
      if (chosen.length === 0 || chosen.length === blades.length) return;
      const rest = expandHosts(['@all', `!${chosen.join(',!')}`], some);
      assert.deepEqual(
        rest,
        blades.filter((blade) => !chosen.includes(blade)),
      );
    }),
  );
});
