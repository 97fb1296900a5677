import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseFleet } from './load.ts';
import { mergeSettings, NO_SETTINGS, profileChain, resolveBlade, resolveFleet } from './resolve.ts';
import { BOOT_CHOICES, type Profile, type Settings } from './schema.ts';

const FLEET = parseFleet(
  `name: lab
network: { subnet: 10.77.0.0/23, gateway: 10.77.0.1, dns: [10.77.0.1], domain: lab.example }
defaults:
  overlays: [base]
  services: { start: [ssh], stop: [nginx] }
  kernelArgs: [quiet, console=ttyS0]
  vars: { role: none, motto: hello }
  disk: { slot: 2GiB }
profiles:
  server: { overlays: [server], vars: { role: server } }
  web: { extends: server, overlays: [web], services: { start: [nginx] } }
  loud: { extends: server, kernelArgs: [quiet] }
blades:
  web01:
    mac: 52:54:00:77:00:11
    address: 10.77.0.11
    profile: [web, loud]
    overlays: [base]
    services: { stop: [ssh] }
    vars: { motto: hi }
    disk: { slot: 3GiB }
  bare: { mac: "52:54:00:77:00:12", address: 10.77.1.12 }
`,
  ['base', 'server', 'web'],
);

test('a blade has what defaults, its profiles from the furthest ancestor, and itself say', () => {
  assert.deepEqual(resolveBlade(FLEET, 'web01'), {
    name: 'web01',
    mac: '52:54:00:77:00:11',
    address: '10.77.0.11',
    prefixLength: 23,
    netmask: '255.255.254.0',
    gateway: '10.77.0.1',
    dns: ['10.77.0.1'],
    domain: 'lab.example',
    profiles: ['server', 'web', 'loud'],
    overlays: ['server', 'web', 'base'],
    services: { start: ['nginx'], stop: ['ssh'] },
    kernelArgs: ['console=ttyS0', 'quiet'],
    vars: { role: 'server', motto: 'hi' },
    disk: { slot: 3 * 1024 ** 3 },
    boot: {},
  });
  assert.deepEqual(
    resolveFleet(FLEET).map(({ name }) => name),
    ['web01', 'bare'],
  );
});

test('an unknown blade is named with the nearest one and how to list them', () => {
  assert.throws(() => resolveBlade(FLEET, 'web1'), {
    code: 'UNKNOWN_BLADE',
    message: 'fleet lab has no blade web1; did you mean web01?',
    hint: 'list its 2 blades with "bladeroot blade list"',
  });
  assert.throws(() => resolveBlade(FLEET, 'constructor'), { code: 'UNKNOWN_BLADE' });
});

const names = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'));
/** One layer, in which, as the checks of a fleet see to, no service is both started and stopped. */
const layer: fc.Arbitrary<Settings> = fc.record(
  {
    overlays: names,
    services: fc
      .tuple(names, names)
      .map(([start, stop]) => ({ start, stop: stop.filter((s) => !start.includes(s)) })),
    kernelArgs: names,
    pin: fc.oneof(fc.integer({ min: 1 }), fc.constant('latest' as const)),
    vars: fc.dictionary(fc.constantFrom('x', 'y', 'z'), fc.string(), { noNullPrototype: true }),
    disk: fc.record({ slot: fc.nat() }, { requiredKeys: [], noNullPrototype: true }),
    boot: fc.record(
      { default: fc.constantFrom(...BOOT_CHOICES), timeout: fc.nat() },
      { requiredKeys: [], noNullPrototype: true },
    ),
  },
  { noNullPrototype: true, requiredKeys: ['overlays', 'services', 'kernelArgs', 'vars', 'disk', 'boot'] },
);

test('layers merge associatively, and an empty layer changes nothing', () => {
  fc.assert(
    fc.property(layer, layer, layer, (a, b, c) => {
      assert.deepEqual(mergeSettings(mergeSettings(a, b), c), mergeSettings(a, mergeSettings(b, c)));
      assert.deepEqual(mergeSettings(a, NO_SETTINGS), a);
      assert.deepEqual(mergeSettings(NO_SETTINGS, a), a);
    }),
  );
});

test('the nearest layer wins: all that it says is so', () => {
  fc.assert(
    fc.property(fc.array(layer), layer, (further, nearest) => {
      const merged = [...further, nearest].reduce(mergeSettings, NO_SETTINGS);
      assert.deepEqual(
        merged.overlays.slice(merged.overlays.length - nearest.overlays.length),
        nearest.overlays,
      );
      for (const service of nearest.services.start) assert.ok(merged.services.start.includes(service));
      for (const service of nearest.services.stop) assert.ok(merged.services.stop.includes(service));
      for (const [name, value] of Object.entries(nearest.vars)) assert.deepEqual(merged.vars[name], value);
      assert.equal(merged.disk.slot, nearest.disk.slot ?? merged.disk.slot);
      assert.deepEqual(merged.boot, { ...merged.boot, ...nearest.boot });
    }),
  );
});

test('no service is both started and stopped, nothing stands twice, nothing is lost', () => {
  fc.assert(
    fc.property(fc.array(layer), (layers) => {
      const { overlays, services } = layers.reduce(mergeSettings, NO_SETTINGS);
      assert.deepEqual(
        services.start.filter((name) => services.stop.includes(name)),
        [],
      );
      for (const list of [overlays, services.start, services.stop])
        assert.equal(new Set(list).size, list.length);
      assert.deepEqual(new Set(overlays), new Set(layers.flatMap((l) => l.overlays)));
      assert.deepEqual(
        new Set([...services.start, ...services.stop]),
        new Set(layers.flatMap((l) => [...l.services.start, ...l.services.stop])),
      );
    }),
  );
});

test('in a chain of profiles each stands once, after all that it extends', () => {
  const acyclic = fc
    .array(fc.array(fc.nat({ max: 9 }), { maxLength: 3 }), { maxLength: 10 })
    .map((rows) =>
      rows.map((row, index): [string, string[]] => [
        `p${index}`,
        row.filter((to) => to < index).map((to) => `p${to}`),
      ]),
    );
  fc.assert(
    fc.property(acyclic, (rows) => {
      const profiles = Object.fromEntries(
        rows.map(([name, parents]): [string, Profile] => [name, { ...NO_SETTINGS, extends: parents }]),
      );
      const chain = profileChain({ profiles }, Object.keys(profiles));
      assert.deepEqual(chain.toSorted(), Object.keys(profiles).toSorted());
      for (const [name, parents] of rows) {
        for (const parent of parents) assert.ok(chain.indexOf(parent) < chain.indexOf(name));
      }
    }),
  );
});
