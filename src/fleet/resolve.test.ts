import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { parseFleet } from './load.ts';
import { mergeSettings, NO_SETTINGS, profileChain, resolveBlade, resolveFleet } from './resolve.ts';
import { BOOT_CHOICES, BOOT_ORDERS, fleetSchema, type Profile, type Settings } from './schema.ts';

const FLEET = parseFleet(
  `name: lab
network: { subnet: 10.77.0.0/23, gateway: 10.77.0.1, dns: [10.77.0.1], domain: lab.example }
defaults:
  overlays: [base]
  services: { start: [ssh], stop: [nginx] }
  kernelArgs: [quiet, console=ttyS0]
  vars: { role: none, motto: hello }
  disks: { slot: 2GiB }
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
    disks: { slot: 3GiB }
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
    disks: { slot: '3GiB', use: {}, partitions: {} },
    boot: {},
    health: { command: [], http: [], tcp: [], unit: [], mayFail: [] },
    ssh: { authorizedKeys: [] },
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
    root: fc.constantFrom('disk', 'ram'),
    disks: fc.record(
      {
        slot: fc.constantFrom('1GiB', '20%'),
        use: fc.record(
          { serial: fc.constantFrom('X1', 'X2'), rotational: fc.boolean() },
          { requiredKeys: [], noNullPrototype: true },
        ),
        partitions: fc.dictionary(
          fc.constantFrom('data', 'logs'),
          fc.record(
            { size: fc.constantFrom('1GiB', 'rest'), fs: fc.constantFrom('xfs', 'swap'), keep: fc.boolean() },
            { requiredKeys: [], noNullPrototype: true },
          ),
          { noNullPrototype: true },
        ),
      },
      { requiredKeys: ['use', 'partitions'], noNullPrototype: true },
    ),
    boot: fc.record(
      { default: fc.constantFrom(...BOOT_CHOICES), timeout: fc.nat() },
      { requiredKeys: [], noNullPrototype: true },
    ),
    health: fc.record(
      {
        command: names,
        http: names,
        tcp: names,
        unit: names,
        mayFail: names,
        timeout: fc.nat(),
        period: fc.nat(),
      },
      {
        requiredKeys: ['command', 'http', 'tcp', 'unit', 'mayFail'],
        noNullPrototype: true,
      },
    ),
    bootOrder: fc.constantFrom(...BOOT_ORDERS),
    ssh: fc.record({ authorizedKeys: names }, { noNullPrototype: true }),
    timezone: fc.string(),
    rootPassword: fc.string(),
  },
  {
    requiredKeys: ['overlays', 'services', 'kernelArgs', 'vars', 'disks', 'boot', 'health', 'ssh'],
    noNullPrototype: true,
  },
);

test('layers without signs merge associatively, and an empty layer changes nothing', () => {
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
      assert.equal(merged.disks.slot, nearest.disks.slot ?? merged.disks.slot);
      assert.deepEqual(merged.boot, { ...merged.boot, ...nearest.boot });
      assert.equal(merged.root, nearest.root ?? merged.root);
      assert.equal(merged.timezone, nearest.timezone ?? merged.timezone);
      assert.equal(merged.rootPassword, nearest.rootPassword ?? merged.rootPassword);
      for (const key of nearest.ssh.authorizedKeys) assert.ok(merged.ssh.authorizedKeys.includes(key));
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

test('signs: a blade without what its profiles have, and with nothing of the defaults', () => {
  const fleet = parseFleet(
    `name: lab
network: { subnet: 10.77.0.0/24 }
defaults:
  overlays: [base]
  services: { start: [ssh, cron], stop: [exim4] }
  kernelArgs: [quiet, console=ttyS0]
profiles:
  mail: { services: { start: [+postfix, dovecot] } }
  quiet: { kernelArgs: [-console=ttyS0], services: { stop: [-exim4, cron] } }
blades:
  mail01:
    mac: 52:54:00:77:00:11
    address: 10.77.0.11
    profile: [mail, quiet]
    overlays: [-*, own]
    services: { start: [-postfix.service] }
`,
    ['base', 'own'],
  );
  const { overlays, services, kernelArgs } = resolveBlade(fleet, 'mail01');
  assert.deepEqual(overlays, ['own']);
  assert.deepEqual(services, { start: ['ssh', 'dovecot'], stop: ['cron'] });
  assert.deepEqual(kernelArgs, ['quiet']);
});

test('variables that are maps are merged by key; all others are replaced', () => {
  const fleet = parseFleet(
    `name: lab
network: { subnet: 10.77.0.0/24 }
defaults: { vars: { app: { port: 80, tls: { on: false, ciphers: [a, b] } }, list: [1, 2], gone: { a: 1 } } }
profiles:
  web: { vars: { app: { tls: { on: true } }, list: [-3], gone: null } }
blades:
  web01: { mac: "52:54:00:77:00:11", address: 10.77.0.11, profile: web, vars: { app: { name: x }, gone: { b: 2 } } }
`,
    [],
  );
  assert.deepEqual(resolveBlade(fleet, 'web01').vars, {
    app: { port: 80, tls: { on: true, ciphers: ['a', 'b'] }, name: 'x' },
    list: [-3],
    gone: { b: 2 },
  });
});

const value: fc.Arbitrary<z.core.util.JSONType> = fc
  .jsonValue({ maxDepth: 3 })
  .map((json) => JSON.parse(JSON.stringify(json)));
const vars = fc.dictionary(fc.constantFrom('x', 'y', 'z'), value, { noNullPrototype: true });

test('variables: the nearest layer wins wherever it says something, and nothing else is lost', () => {
  const check = (below: unknown, layer: unknown, merged: unknown): void => {
    if (!isMap(below) || !isMap(layer)) return assert.deepEqual(merged, layer);
    assert.ok(isMap(merged));
    const keys = new Set([...Object.keys(below), ...Object.keys(layer)]);
    assert.deepEqual(new Set(Object.keys(merged)), keys);
    for (const key of keys) {
      const said: unknown = Reflect.get(layer, key);
      const result: unknown = Reflect.get(merged, key);
      if (!Object.hasOwn(layer, key)) assert.deepEqual(result, Reflect.get(below, key));
      else if (!Object.hasOwn(below, key)) assert.deepEqual(result, said);
      else check(Reflect.get(below, key), said, result);
    }
  };
  fc.assert(
    fc.property(vars, vars, (below, layer) => {
      const merged = layVars(below, layer);
      check(below, layer, merged);
      assert.deepEqual(layVars(merged, layer), merged);
    }),
  );
});

function layVars(below: Settings['vars'], layer: Settings['vars']): Settings['vars'] {
  return mergeSettings({ ...NO_SETTINGS, vars: below }, { ...NO_SETTINGS, vars: layer }).vars;
}

/** Settings that say this one thing. */
function saying(path: readonly string[], value: unknown): Settings {
  const layer = structuredClone(NO_SETTINGS);
  const parent = path.slice(0, -1).reduce<object>((map, key) => Reflect.get(map, key), layer);
  Reflect.set(parent, path.at(-1) ?? '', value);
  return layer;
}

function mergedAt(path: readonly string[], below: unknown, layer: unknown): unknown {
  return at(mergeSettings(saying(path, below), saying(path, layer)), path);
}

function at(settings: Settings, path: readonly string[]): unknown {
  return path.reduce<unknown>((map, key) => (isMap(map) ? Reflect.get(map, key) : undefined), settings);
}

function isMap(data: unknown): data is object {
  return typeof data === 'object' && data !== null && !Array.isArray(data);
}

test('every setting of the schema is merged: what a layer says is said of the blade', () => {
  const lists: string[][] = [];
  const scalars: string[][] = [];
  const walk = (schema: z.core.JSONSchema._JSONSchema, path: string[]): void => {
    // Maps by names that people choose have tests of their own.
    if (typeof schema === 'boolean' || path[0] === 'vars' || path.at(-1) === 'partitions') return;
    if (schema.type === 'array') lists.push(path);
    else if (schema.properties === undefined) scalars.push(path);
    for (const [name, field] of Object.entries(schema.properties ?? {})) walk(field, [...path, name]);
  };
  walk(z.toJSONSchema(fleetSchema.shape.defaults, { io: 'input' }), []);
  assert.ok(lists.length >= 4 && scalars.length >= 3);
  for (const path of lists)
    assert.deepEqual(mergedAt(path, ['a', 'b'], ['-a', 'c']), ['b', 'c'], path.join('.'));
  for (const path of scalars) assert.equal(mergedAt(path, 'far', 'near'), 'near', path.join('.'));
});

test('partitions are merged by name, and what a nearer layer says of one is laid over the rest of it', () => {
  const below = {
    swap: { size: '1GiB', fs: 'swap' },
    data: { size: '10%', fs: 'xfs', options: ['noatime'] },
  };
  const layer = { data: { size: '20%', options: ['discard'] }, logs: { size: '5GiB' } };
  assert.deepEqual(mergedAt(['disks', 'partitions'], below, layer), {
    swap: { size: '1GiB', fs: 'swap' },
    data: { size: '20%', fs: 'xfs', options: ['discard'] },
    logs: { size: '5GiB' },
  });
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
