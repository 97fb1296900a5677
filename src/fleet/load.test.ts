import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { z } from 'zod';
import { exampleFleet } from './example.ts';
import { FleetErrors } from './findings.ts';
import { loadFleet, parseFleet } from './load.ts';
import { resolveFleet } from './resolve.ts';
import { jsonSchema } from './json-schema.ts';
import { folderOf } from './folder.fixture.ts';

const HEAD = 'name: lab\nnetwork: { subnet: 10.77.0.0/24 }\n';

/** What loading says about a fleet.yaml, one finding a line. */
function findingsOf(text: string, overlays: string[] = []): string[] {
  try {
    parseFleet(text, overlays);
    return [];
  } catch (error) {
    assert.ok(error instanceof FleetErrors, String(error));
    return error.message.split('\n');
  }
}

test('a whole fleet loads, with what it leaves out filled in', () => {
  const fleet = parseFleet(
    `name: lab
network: { subnet: 10.77.0.0/24, gateway: 10.77.0.1, dns: [10.77.0.1], domain: lab.example }
defaults: { overlays: [base] }
profiles:
  base: { vars: { role: none, ports: [1, 2] } }
  web:
    extends: base
    overlays: [web]
    services: { start: [nginx.service], stop: [] }
    kernelArgs: [console=ttyS0]
    disks: { slot: 3GiB }
blades:
  web01: { mac: "52-54-00-AA-00-11", address: 10.77.0.11, profile: web }
`,
    ['base', 'web'],
  );
  assert.equal(fleet.blades['web01']?.mac, '52:54:00:aa:00:11');
  assert.deepEqual(fleet.blades['web01']?.profile, ['web']);
  assert.deepEqual(fleet.profiles['web']?.services, { start: ['nginx'], stop: [] });
  assert.equal(fleet.profiles['web']?.disks.slot, '3GiB');
  assert.deepEqual(fleet.profiles['base']?.kernelArgs, []);
});

test('each fault names file, line and field, what is wrong and what would be right', () => {
  const cases: [string, string[]][] = [
    [
      '',
      [
        'fleet.yaml:1: nothing is not a map; write "key: value" lines; the keys are name, network, networks, secrets, defaults, profiles, blades',
      ],
    ],
    [
      'name: [',
      [
        'fleet.yaml:1: not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
      ],
    ],
    [
      `${HEAD}blades:\n  web02: { mac: "52:54:00:77:00", address: 10.77.0.12 }\n`,
      [
        'fleet.yaml:4: blades.web02.mac: "52:54:00:77:00" is not a MAC address; write six pairs of hex digits such as 52:54:00:12:34:56',
      ],
    ],
    [
      `${HEAD}blades:\n  web02:\n    address: 10.77.0.12\n`,
      ['fleet.yaml:4: blades.web02: does not say which machine it is; write its mac, or its serial or guid'],
    ],
    [
      `${HEAD}blades:\n  a:\n    mac: "52:54:00:77:00:11"\n    serial: 4QX0P33\n    address: 10.77.0.11\n`,
      ['fleet.yaml:6: blades.a.serial: mac says already which machine it is; leave one of them'],
    ],
    [
      `${HEAD}blades:\n  a: { serial: 4711, address: 10.77.0.11 }\n  b: { guid: x, address: 10.77.0.12 }\n`,
      [
        'fleet.yaml:4: blades.a.serial: 4711 is not a serial number; write what `bladeroot blade list --pending` shows, in quotes such as "4QX0P33"',
        'fleet.yaml:5: blades.b.guid: "x" is not a GUID; write the UUID of SMBIOS such as 4c4c4544-0034-3010-8048-b7c04f4e4d32',
      ],
    ],
    [
      `${HEAD}blades:\n  a: { serial: X7, address: 10.77.0.11 }\n  unknown: { serial: X7, address: 10.77.0.12 }\n`,
      [
        'fleet.yaml:5: blades.unknown.serial: X7 stands twice: blade a has it already (line 4); each blade needs its own',
        'fleet.yaml:5: blades.unknown: unknown is what machines without a name are called; give the blade another name',
      ],
    ],
    [
      `${HEAD}blades:\n  Web_1: { mac: "52:54:00:77:00:11", address: 10.77.0.12 }\n`,
      [
        'fleet.yaml:4: blades.Web_1: the name "Web_1" is not the name of a blade; write 1 to 63 lower-case letters, digits and inner hyphens (RFC 1123) such as web01',
      ],
    ],
    [
      `${HEAD}defaults:\n  kernelargs: [quiet]\n  colour: red\n`,
      [
        'fleet.yaml:4: defaults.kernelargs: is not a known key; did you mean kernelArgs?',
        'fleet.yaml:5: defaults.colour: is not a known key; known are overlays, services, kernelArgs, vars, pin, root, disks, boot, health, bootOrder, timezone, ssh, rootPassword',
      ],
    ],
    [
      `${HEAD}defaults:\n  disks: { slot: 3GB }\n  vars: { n: .nan }\n  overlays: base\n`,
      [
        'fleet.yaml:4: defaults.disks.slot: "3GB" is not a size; write a whole number and its unit such as 3GiB, or a share of the disk such as 20%',
        'fleet.yaml:5: defaults.vars.n: NaN is not a value for templates; write text, a number, true, false, a list or a map',
        'fleet.yaml:6: defaults.overlays: "base" is not a list; write folders of overlays/ such as [base, web]',
      ],
    ],
    [
      `${HEAD}defaults:\n  boot: { default: disk, timeout: -1 }\n`,
      [
        'fleet.yaml:4: defaults.boot.default: "disk" is not an entry of the boot menu; write one of boot, local-disk, deploy, rescue',
        'fleet.yaml:4: defaults.boot.timeout: -1 is not a number of seconds; write 0 for no menu, or a whole number such as 5',
      ],
    ],
    [
      `${HEAD}blades:\n  a: { mac: "52:54:00:77:00:11", address: 10.77.0.11 }\n  b:\n    mac: "52-54-00-77-00-11"\n    address: 10.77.0.11\n`,
      [
        'fleet.yaml:6: blades.b.mac: 52:54:00:77:00:11 stands twice: blade a has it already (line 4); each blade needs its own',
        'fleet.yaml:7: blades.b.address: 10.77.0.11 stands twice: blade a has it already (line 4); each blade needs its own',
      ],
    ],
    [
      `${HEAD}blades:\n  a: { mac: "52:54:00:77:00:11", address: 10.78.0.1 }\n  b: { mac: "52:54:00:77:00:12", address: 10.77.0.0 }\n  c: { mac: "52:54:00:77:00:13", address: 10.77.0.255 }\n`,
      [
        'fleet.yaml:4: blades.a.address: 10.78.0.1 is not in the subnet 10.77.0.0/24; write an address between 10.77.0.0 and 10.77.0.255',
        'fleet.yaml:5: blades.b.address: 10.77.0.0 is the address of the subnet 10.77.0.0/24 itself; write an address between 10.77.0.0 and 10.77.0.255',
        'fleet.yaml:6: blades.c.address: 10.77.0.255 is the broadcast address of the subnet 10.77.0.0/24; write an address between 10.77.0.0 and 10.77.0.255',
      ],
    ],
    [
      'name: lab\nnetwork:\n  subnet: 10.77.0.5/24\n  gateway: 10.78.0.1\n',
      [
        'fleet.yaml:3: network.subnet: 10.77.0.5/24 does not start at its first address; write 10.77.0.0/24',
        'fleet.yaml:4: network.gateway: 10.78.0.1 is not in the subnet 10.77.0.5/24; write an address between 10.77.0.0 and 10.77.0.255',
      ],
    ],
    [
      'name: lab\nnetwork: { subnet: 10.77.0.0/31 }\n',
      [
        'fleet.yaml:2: network.subnet: 10.77.0.0/31 has no room for blades; write a prefix length of at most 30',
      ],
    ],
    [
      `${HEAD}profiles:\n  web: {}\n  mail:\n    extends:\n      - web\n      - wbe\nblades:\n  a: { mac: "52:54:00:77:00:11", address: 10.77.0.11, profile: database }\n`,
      [
        'fleet.yaml:8: profiles.mail.extends[1]: there is no profile wbe; did you mean web?; profiles: web, mail',
        'fleet.yaml:10: blades.a.profile[0]: there is no profile database; profiles: web, mail',
      ],
    ],
    [
      `${HEAD}profiles:\n  a: { extends: b }\n  b: { extends: [c] }\n  c: { extends: a }\n  d: { extends: a }\n  e: { extends: e }\n`,
      [
        'fleet.yaml:4: profiles.a.extends: goes round in a circle (a → b → c → a); take one of them out',
        'fleet.yaml:8: profiles.e.extends: goes round in a circle (e → e); take one of them out',
      ],
    ],
    [
      `${HEAD}defaults:\n  overlays:\n    - base\n    - wbe\n  services: { start: [a], stop: [a.service] }\n`,
      [
        'fleet.yaml:6: defaults.overlays[1]: there is no folder overlays/wbe; did you mean web?; folders: base, web',
        'fleet.yaml:7: defaults.services.stop[0]: a is in start as well; leave it in one of the two',
      ],
    ],
    [
      `${HEAD}blades:\n  a: { mac: "52:54:00:77:00:11", address: 10.77.0.11 }\n  a: { mac: "52:54:00:77:00:12", address: 10.77.0.12 }\n`,
      ['fleet.yaml:5: a stands here a second time, first in line 4; remove one'],
    ],
  ];
  for (const [text, expected] of cases) assert.deepEqual(findingsOf(text, ['base', 'web']), expected);
});

test('all faults are found at once, those between sound fields as well', () => {
  const findings = findingsOf(`nane: lab
network: { subnet: 10.77.0.0/24 }
profiles:
  web: { disks: { slot: big } }
blades:
  a: { mac: nonsense, address: 10.77.0.11, profile: web }
  b: { mac: "52:54:00:77:00:12", address: 10.77.0.11, profile: wob, overlays: [ghost] }
`);
  assert.deepEqual(
    findings.map((line) => line.split(' ').slice(0, 2).join(' ')),
    [
      'fleet.yaml:1: name:',
      'fleet.yaml:1: nane:',
      'fleet.yaml:4: profiles.web.disks.slot:',
      'fleet.yaml:6: blades.a.mac:',
      'fleet.yaml:7: blades.b.address:',
      'fleet.yaml:7: blades.b.profile[0]:',
      'fleet.yaml:7: blades.b.overlays[0]:',
    ],
  );
});

test('a value that comes by a YAML anchor is named where it stands', () => {
  const findings = findingsOf(`${HEAD}profiles:
  web: &web
    overlays: [ghost]
  mail: *web
`);
  assert.deepEqual(
    findings.map((line) => line.slice(0, 12)),
    ['fleet.yaml:5', 'fleet.yaml:5'],
  );
});

test('a folder without fleet.yaml is an error that says how to make one', async (t) => {
  const dir = await folderOf(t, {});
  await assert.rejects(loadFleet(dir), { code: 'FLEET_MISSING', hint: /bladeroot init/ });
});

test('the example of bladeroot init loads without findings in any subnet that has room', async (t) => {
  for (const subnet of ['10.77.0.0/24', '192.168.4.0/22', '10.0.0.0/8', '172.16.5.32/28', '10.1.2.4/30']) {
    const fleet = await loadFleet(await folderOf(t, Object.fromEntries(exampleFleet('lab', subnet))));
    assert.equal(fleet.network.subnet, subnet);
    assert.deepEqual(fleet.defaults.overlays, ['base']);
  }
  assert.throws(() => exampleFleet('The Lab', '10.77.0.0/24'), { code: 'BAD_FLEET_NAME' });
  assert.throws(() => exampleFleet('lab', '10.77.0.0'), { code: 'BAD_SUBNET' });
});

test('what the example has commented out is right as well', () => {
  const text = exampleFleet('lab', '10.77.0.0/24').get('fleet.yaml') ?? '';
  const fleet = parseFleet(text.replaceAll(/^( +)# (?! )/gm, '$1').replaceAll(/^( +)# /gm, '$1'), [
    'base',
    'web',
  ]);
  assert.equal(fleet.network.gateway, '10.77.0.1');
  assert.deepEqual(fleet.profiles['web']?.services.start, ['nginx']);
});

test('every field says what it is for, and is in the JSON Schema for editors', () => {
  const undescribed: string[] = [];
  const walk = (schema: z.core.JSONSchema._JSONSchema, path: string): void => {
    if (typeof schema === 'boolean') return;
    for (const [name, field] of Object.entries(schema.properties ?? {})) {
      if (typeof field === 'boolean' || field.description === undefined) undescribed.push(`${path}.${name}`);
      walk(field, `${path}.${name}`);
    }
    if (schema.additionalProperties !== undefined) walk(schema.additionalProperties, `${path}.*`);
  };
  walk(jsonSchema('fleet'), 'fleet');
  assert.deepEqual(undescribed, []);
});

test('several networks: a blade is in the one whose subnet has its address', () => {
  const fleet = parseFleet(
    `name: lab
network: { subnet: 10.77.0.0/24, pool: { from: 10.77.0.200, to: 10.77.0.250 } }
networks:
  rack2: { subnet: 10.78.0.0/16, gateway: 10.78.0.1, mode: proxy, proxyDelay: 200 }
blades:
  a: { mac: "52:54:00:77:00:11", address: 10.77.0.210 }
  b: { mac: "52:54:00:77:00:12", address: 10.78.3.4 }
`,
    [],
  );
  assert.equal(fleet.network.mode, 'server');
  const shown = resolveFleet(fleet).map(({ name, netmask, gateway }) => [name, netmask, gateway]);
  assert.deepEqual(shown, [
    ['a', '255.255.255.0', undefined],
    ['b', '255.255.0.0', '10.78.0.1'],
  ]);
});

test('networks that overlap, pools that cannot be, and what nobody would use are faults with their lines', () => {
  const fleet = `name: lab
network:
  subnet: 10.77.0.0/24
  mode: off
  pool: { from: 10.77.0.9, to: 10.77.0.3 }
  proxyDelay: 20
networks:
  a: { subnet: 10.77.0.128/25 }
  b: { subnet: 10.0.0.0/15, pool: { from: 10.0.0.1, to: 10.1.0.1 } }
  c:
    subnet: 10.79.0.0/24
    pool: { from: 10.80.0.1, to: 10.79.0.255 }
    mode: dhcp
  main: { subnet: 10.81.0.0/24 }
blades:
  z: { mac: "52:54:00:77:00:12", address: 10.90.3.4 }
`;
  assert.deepEqual(findingsOf(fleet), [
    'fleet.yaml:5: network.pool.to: 10.77.0.3 is before 10.77.0.9; write the lower address in from, the higher in to',
    'fleet.yaml:5: network.pool: is of no use with mode off: another server gives the addresses; take it out, or write mode: server',
    'fleet.yaml:6: network.proxyDelay: is of no use but with mode proxy; take it out, or write mode: proxy',
    'fleet.yaml:8: networks.a.subnet: 10.77.0.128/25 overlaps 10.77.0.0/24 of network (line 3); each network needs addresses of its own',
    'fleet.yaml:9: networks.b.pool: has 65537 addresses; write a range of at most 65536',
    'fleet.yaml:12: networks.c.pool.from: 10.80.0.1 is not in the subnet 10.79.0.0/24; write an address between 10.79.0.0 and 10.79.0.255',
    'fleet.yaml:12: networks.c.pool.to: 10.79.0.255 is the broadcast address of the subnet 10.79.0.0/24; write an address between 10.79.0.0 and 10.79.0.255',
    'fleet.yaml:12: networks.c.pool.to: 10.79.0.255 is before 10.80.0.1; write the lower address in from, the higher in to',
    'fleet.yaml:13: networks.c.mode: "dhcp" is not what the root does there about DHCP; write server, proxy or off',
    'fleet.yaml:14: networks.main: main is the name of `network`; write another name',
    "fleet.yaml:16: blades.z.address: 10.90.3.4 is in none of the fleet's subnets (10.77.0.0/24, 10.77.0.128/25, 10.0.0.0/15, 10.79.0.0/24, 10.81.0.0/24); write an address in one of them, or add its network to networks",
  ]);
});
