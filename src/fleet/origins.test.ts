import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseFolder } from './load.ts';
import { originsOf } from './origins.ts';
import { resolveBlade } from './resolve.ts';
import type { Path } from './source.ts';

/** `path: file:line` of each value of web01. */
function originsIn(texts: Record<string, string>, overlays: string[] = []): Record<string, string> {
  const { fleet, source } = parseFolder({ texts: new Map(Object.entries(texts)), overlays });
  return Object.fromEntries(
    originsOf(fleet, 'web01').map(({ path, from }) => {
      const { file, line } = source.placeOf(from);
      return [path.join('.'), `${file}:${line}`];
    }),
  );
}

test('each value of a blade, and each item of a list, has the file and line that it comes from', () => {
  const origins = originsIn(
    {
      'fleet.yaml': `name: lab
network: { subnet: 10.76.0.0/24 }
networks:
  rack2:
    subnet: 10.77.0.0/24
    dns:
      - 10.77.0.1
      - 10.77.0.2
defaults:
  overlays: [base]
  services:
    start:
      - ssh
      - cron
  vars:
    role: none
    app: { port: 80,
           host: x }
    peers: [a, b]
  disks: { slot: 2GiB }
`,
      'profiles/server.yaml': 'services:\n  start: [-cron]\nvars:\n  app:\n    host: y\n',
      'profiles/web.yaml': 'extends:\n  - server\noverlays:\n  - web\nservices: { start: [nginx.service] }\n',
      'blades/web01.yaml': `mac: "52:54:00:77:00:11"
address: 10.77.0.11
profile: [web]
overlays:
  - +base
vars:
  peers:
    - c
`,
    },
    ['base', 'web'],
  );
  assert.deepEqual(origins, {
    name: 'blades/web01.yaml:1',
    mac: 'blades/web01.yaml:1',
    address: 'blades/web01.yaml:2',
    prefixLength: 'fleet.yaml:5',
    netmask: 'fleet.yaml:5',
    'dns.0': 'fleet.yaml:7',
    'dns.1': 'fleet.yaml:8',
    'profiles.0': 'profiles/web.yaml:2',
    'profiles.1': 'blades/web01.yaml:3',
    'overlays.0': 'profiles/web.yaml:4',
    'overlays.1': 'blades/web01.yaml:5',
    'services.start.0': 'fleet.yaml:13',
    'services.start.1': 'profiles/web.yaml:5',
    'vars.role': 'fleet.yaml:16',
    'vars.app.port': 'fleet.yaml:17',
    'vars.app.host': 'profiles/server.yaml:5',
    'vars.peers.0': 'blades/web01.yaml:8',
    'disks.slot': 'fleet.yaml:20',
  });
});

/** Fleets of defaults, two profiles, one on the other, and a blade, each with some lists and variables. */
const variable: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom('x', 1, true, null),
  fc.array(fc.constantFrom('p', 'q'), { maxLength: 2 }),
  fc.dictionary(fc.constantFrom('m', 'n'), fc.constantFrom('x', 2), { maxKeys: 2, noNullPrototype: true }),
);
const names = ['a', 'b', 'c'];
const edits = fc
  .uniqueArray(fc.tuple(fc.constantFrom('', '+', '-'), fc.constantFrom(...names)), {
    selector: ([, name]) => name,
  })
  .map((items) => items.map(([sign, name]) => sign + name));
function partitionAt(mount: string): fc.Arbitrary<object> {
  return fc.record(
    {
      size: fc.constantFrom('1GiB', '10%'),
      mount: fc.constant(mount),
      fs: fc.constantFrom('xfs', 'ext4'),
      options: fc.constantFrom([], ['noatime'], ['noatime', 'discard']),
    },
    { requiredKeys: ['size', 'mount'], noNullPrototype: true },
  );
}

const layer = fc.record(
  {
    kernelArgs: edits,
    overlays: edits,
    vars: fc.dictionary(fc.constantFrom('v', 'w'), variable, { noNullPrototype: true }),
    disks: fc.record(
      {
        slot: fc.constantFrom('1GiB', '2GiB'),
        use: fc.record(
          { serial: fc.constantFrom('X1', 'X2'), rotational: fc.boolean() },
          { requiredKeys: [], noNullPrototype: true },
        ),
        partitions: fc.record(
          { data: partitionAt('/srv'), logs: partitionAt('/var/log') },
          { requiredKeys: [], noNullPrototype: true },
        ),
      },
      { requiredKeys: [], noNullPrototype: true },
    ),
  },
  { requiredKeys: [], noNullPrototype: true },
);

test('what stands at the origin of a value is that value, and every value has one', () => {
  fc.assert(
    fc.property(layer, layer, layer, layer, (defaults, server, web, own) => {
      const data = {
        name: 'lab',
        network: { subnet: '10.77.0.0/24', gateway: '10.77.0.1' },
        defaults,
        profiles: { server, web: { extends: 'server', ...web } },
        blades: { web01: { mac: '52:54:00:77:00:11', address: '10.77.0.11', profile: ['web'], ...own } },
      };
      const texts = new Map([['fleet.yaml', JSON.stringify(data)]]);
      const { fleet } = parseFolder({ texts, overlays: names });
      const blade = resolveBlade(fleet, 'web01');
      const origins = originsOf(fleet, 'web01');
      for (const { path, from } of origins) {
        if (['name', 'prefixLength', 'netmask'].includes(String(path[0]))) continue;
        const said = at(fleet, from);
        const value = at(blade, path);
        assert.deepEqual(typeof said === 'string' ? said.replace(/^\+/, '') : said, value);
      }
      const kept = origins.map(({ path }) => path);
      for (const field of ['kernelArgs', 'overlays'] as const)
        blade[field].forEach((_, index) => assert.ok(has(kept, [field, index])));
      for (const name of Object.keys(blade.vars)) assert.ok(kept.some((path) => path[1] === name));
    }),
  );
});

function at(data: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, part) =>
      typeof value === 'object' && value !== null ? Reflect.get(value, part) : assert.fail(path.join('.')),
    data,
  );
}

function has(paths: Path[], wanted: Path): boolean {
  return paths.some((path) => path.join('.') === wanted.join('.'));
}
