/** `bladeroot blade boots`, as a person calls it. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { BladerootEvent } from '../src/events/catalogue.ts';
import { openDatabase } from '../src/state/database.ts';
import { EventRepository } from '../src/state/events.ts';
import { place, type Place } from './bladeroot.fixture.ts';

const MAC = '52:54:00:77:00:11';
const BEGAN = Date.UTC(2026, 0, 2, 3, 4, 5);

async function placeWith(
  t: TestContext,
  events: [after: number, event: BladerootEvent][],
  fleetFiles: Record<string, string> = {},
): Promise<Place> {
  const made = await place(t, fleetFiles);
  const database = openDatabase(made.state);
  const log = new EventRepository(database);
  for (const [after, event] of events) log.append(event, BEGAN + after);
  database.close();
  return made;
}

const FIRST: [number, BladerootEvent][] = [
  [0, { type: 'dhcp.discover', mac: MAC, blade: 'web01', client: 'ipxe' }],
  [10, { type: 'dhcp.offer', mac: MAC, blade: 'web01', message: '10.77.0.11' }],
  [1500, { type: 'boot.script', blade: 'web01', message: 'local-disk' }],
  [
    9500,
    { type: 'blade.up', blade: 'web01', boot: 'b', release: 3, slot: 'a', from: 'disk', services: 'running' },
  ],
];
const SECOND: [number, BladerootEvent][] = [
  [900_000, { type: 'dhcp.discover', mac: MAC, blade: 'web01', client: 'firmware' }],
  [900_010, { type: 'dhcp.offer', mac: MAC, blade: 'web01', message: '10.77.0.11' }],
];

test('a boot is told step by step, with times, and how it ended; one that stopped says what usually causes it', async (t) => {
  const { bladeroot } = await placeWith(t, [...FIRST, ...SECOND]);
  const { status, stdout } = await bladeroot(['blade', 'boots', 'web01']);
  assert.equal(status, 0);
  assert.match(stdout, /^web01, boot 1, 2026-01-0\d \d\d:04:05: up after 9\.50 s$/m);
  assert.match(stdout, /^ +0\.00 s +\+0\.00 s {2}DISCOVER by iPXE$/m);
  assert.match(stdout, /^ +1\.50 s +\+1\.49 s {2}script: local-disk$/m);
  assert.match(stdout, /boot 2, .*: STOPPED: .*OFFER without REQUEST/);
  assert.match(stdout, /^ {2}- .*portfast/m);
  assert.ok(stdout.indexOf('boot 1') < stdout.indexOf('boot 2'), 'the newest is last');
});

test('as JSON, as few as asked for, by a MAC in any spelling', async (t) => {
  const { bladeroot } = await placeWith(t, [...FIRST, ...SECOND]);
  const { stdout } = await bladeroot(['blade', 'boots', '5254.0077.0011', '--last', '1', '--json']);
  const [boot, ...more] = JSON.parse(stdout);
  assert.deepEqual(more, []);
  assert.deepEqual([boot.machine, boot.began, boot.outcome.kind], ['web01', BEGAN + 900_000, 'stopped']);
  assert.deepEqual(
    boot.steps.map(({ since, took }: { since: number; took: number }) => [since, took]),
    [
      [0, 0],
      [10, 10],
    ],
  );
});

test('a machine that was never heard of is an error that says when one is known', async (t) => {
  const { bladeroot } = await place(t);
  const { status, stderr } = await bladeroot(['blade', 'boots', 'web09']);
  assert.equal(status, 1);
  assert.match(stderr, /^bladeroot: no boot of web09 is known here; .*serve/);
  assert.equal((await bladeroot(['blade', 'boots', 'web01', '--last', '0'])).status, 2);
});

test('the boots of several blades are told one blade after the other, by a host list', async (t) => {
  const other: [number, BladerootEvent][] = [
    [0, { type: 'dhcp.discover', mac: '52:54:00:77:00:12', blade: 'web02', client: 'ipxe' }],
    [1500, { type: 'boot.script', blade: 'web02', message: 'local-disk' }],
  ];
  const fleet = `name: lab
network: { subnet: 10.77.0.0/24 }
blades:
  web01: { mac: "52:54:00:77:00:11", address: 10.77.0.11 }
  web02: { mac: "52:54:00:77:00:12", address: 10.77.0.12 }
`;
  const { bladeroot } = await placeWith(t, [...FIRST, ...other, ...SECOND], { 'fleet.yaml': fleet });
  const { stdout } = await bladeroot(['blade', 'boots', 'web[01-02]', '--last', '1']);
  assert.deepEqual(stdout.match(/^web\S+, boot \d/gm), ['web01, boot 2', 'web02, boot 1']);
  const all = await bladeroot(['blade', 'boots', '@all', '!web01', '--json']);
  assert.deepEqual(
    JSON.parse(all.stdout).map(({ machine }: { machine: string }) => machine),
    ['web02'],
  );
  const unknown = await bladeroot(['blade', 'boots', 'web[02-03]']);
  assert.equal(unknown.status, 1);
  assert.match(unknown.stderr, /no blade web03 \(of web\[02-03\]\); did you mean web0[12]\?/);
});
