import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { bootsOf } from './boots.ts';
import type { BladerootEvent, RecordedEvent } from './catalogue.ts';

const MAC = '52:54:00:77:00:11';
const SECOND = 1000;

type Client = 'firmware' | 'ipxe' | 'system';
const dhcp = (
  type: 'discover' | 'offer' | 'request' | 'ack' | 'unknown',
  client?: Client,
): BladerootEvent => ({
  type: `dhcp.${type}`,
  mac: MAC,
  blade: 'web01',
  ...(client === undefined ? {} : { client }),
});
const dora = (client: Client): BladerootEvent[] => [
  dhcp('discover', client),
  dhcp('offer'),
  dhcp('request', client),
  dhcp('ack'),
];
const served = (name: 'loader' | 'script' | 'kernel' | 'initrd'): BladerootEvent => ({
  type: `boot.${name}`,
  blade: 'web01',
});
const step = (name: 'agent' | 'fetch' | 'switch-root', boot: string): BladerootEvent => ({
  type: 'blade.step',
  blade: 'web01',
  boot,
  step: name,
  state: 'done',
});
const up = (boot: string): BladerootEvent => ({
  type: 'blade.up',
  blade: 'web01',
  boot,
  release: 1,
  slot: 'a',
  from: 'network',
  services: 'running',
});

/** Numbered, and a second apart where nothing else is said. */
function recorded(events: (BladerootEvent | { pause: number })[]): RecordedEvent[] {
  let time = 1_000_000;
  const all: RecordedEvent[] = [];
  for (const event of events) {
    if ('pause' in event) time += event.pause;
    else all.push({ ...event, id: all.length + 1, time: (time += SECOND) });
  }
  return all;
}

const ids = (events: (BladerootEvent | { pause: number })[]): number[][] =>
  bootsOf(recorded(events)).map((boot) => boot.events.map(({ id }) => id));

const deployment = (boot: string): BladerootEvent[] => [
  ...dora('firmware'),
  served('loader'),
  ...dora('ipxe'),
  served('script'),
  served('kernel'),
  served('initrd'),
  ...dora('system'),
  step('agent', boot),
  step('fetch', boot),
  step('switch-root', boot),
  up(boot),
];

test('firmware, iPXE and the initrd ask for an address each, and all of it is one boot', () => {
  assert.equal(bootsOf(recorded(deployment('b1'))).length, 1);
});

test('the boot of a machine without a name is told by its MAC, and counts to the blade that it becomes', () => {
  const asked: BladerootEvent = { type: 'dhcp.discover', mac: MAC, client: 'firmware' };
  const fetched: BladerootEvent[] = [
    { type: 'boot.loader', mac: MAC, message: 'undionly.kpxe' },
    { type: 'boot.script', mac: MAC, message: 'unknown' },
    { type: 'boot.initrd', mac: MAC },
  ];
  const [boot, ...others] = bootsOf(recorded([asked, ...fetched]));
  assert.deepEqual([boot?.machine, boot?.events.length, others], [MAC, 4, []]);
  const adopted: BladerootEvent = { type: 'machine.adopted', mac: MAC, blade: 'web01', message: 'a server' };
  const [named, ...more] = bootsOf(recorded([asked, ...fetched, adopted, step('agent', 'b1')]));
  assert.deepEqual([named?.machine, named?.events.length, more], ['web01', 6, []]);
});

test('a machine that asks again after it was up has started over; one that renews its lease has not', () => {
  const first = deployment('b1');
  assert.deepEqual(
    bootsOf(recorded([...first, dhcp('request', 'system'), dhcp('ack'), ...deployment('b2')])).map(
      ({ events }) => events.length,
    ),
    [first.length + 2, first.length],
  );
});

test('a reset in the middle begins another boot, wherever it was', () => {
  const whole = deployment('b1').slice(0, -1);
  for (let until = 5; until <= whole.length; until++) {
    const boots = ids([...whole.slice(0, until), dhcp('discover', 'firmware')]);
    assert.deepEqual(boots.at(-1), [until + 1], `after ${until} events`);
    assert.equal(boots.length, 2);
  }
});

test('firmware that repeats its question is in the same boot, until it has been silent for long', () => {
  const ask = dhcp('discover', 'firmware');
  assert.deepEqual(ids([ask, { pause: 16 * SECOND }, ask, { pause: 32 * SECOND }, ask]), [[1, 2, 3]]);
  assert.deepEqual(ids([ask, { pause: 300 * SECOND }, ask]), [[1], [2]]);
});

test('a download that takes long does not cut a boot in two', () => {
  assert.equal(ids([...dora('ipxe'), served('script'), { pause: 900 * SECOND }, served('kernel')]).length, 1);
});

test('a blade that starts from its disk without a word before is a boot of its own', () => {
  assert.deepEqual(ids([up('b1'), up('b2'), step('agent', 'b3')]), [[1], [2], [3]]);
});

test('what a blade tells late counts to the boot that it is of', () => {
  const events = [dhcp('discover', 'firmware'), step('agent', 'b1'), dhcp('discover', 'firmware'), up('b1')];
  assert.deepEqual(ids(events), [[1, 2, 4], [3]]);
});

test('what a machine did before it had a name is its own', () => {
  const stranger: BladerootEvent = { type: 'dhcp.unknown', mac: MAC };
  const boots = bootsOf(recorded([stranger, dhcp('discover'), { type: 'dhcp.unknown', mac: 'other' }]));
  assert.deepEqual(
    boots.map(({ machine, events }) => [machine, events.map(({ id }) => id)]),
    [
      ['web01', [1, 2]],
      ['other', [3]],
    ],
  );
});

const anyEvent = fc.oneof(
  fc.record({
    type: fc.constantFrom('dhcp.discover', 'dhcp.offer', 'dhcp.request', 'dhcp.ack', 'dhcp.unknown'),
    mac: fc.constantFrom('m1', 'm2'),
    client: fc.option(fc.constantFrom('firmware', 'ipxe', 'system'), { nil: undefined }),
  }),
  fc.record({
    type: fc.constantFrom('dhcp.discover', 'dhcp.ack'),
    mac: fc.constantFrom('m1', 'm2'),
    blade: fc.constantFrom('web01', 'web02'),
  }),
  fc.record({
    type: fc.constantFrom('boot.loader', 'boot.script', 'boot.kernel', 'boot.initrd', 'boot.failed'),
    blade: fc.constantFrom('web01', 'web02'),
  }),
  fc.constantFrom('b1', 'b2', 'b3').chain((boot) => fc.constantFrom(step('agent', boot), up(boot))),
  fc.constant<BladerootEvent>({ type: 'root.started', url: 'http://x', release: 1 }),
) as fc.Arbitrary<BladerootEvent>;

test('each event of a machine is in exactly one boot, and the order is kept', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(anyEvent, fc.nat(300 * SECOND)), { maxLength: 60 }), (drawn) => {
      const events = recorded(drawn.flatMap(([event, pause]) => [{ pause }, event]));
      const boots = bootsOf(events);
      const inBoots = boots.flatMap((boot) => boot.events.map(({ id }) => id));
      const ofMachines = events.filter(({ type }) => type !== 'root.started').map(({ id }) => id);
      assert.deepEqual(
        inBoots.toSorted((left, right) => left - right),
        ofMachines,
      );
      for (const boot of boots) {
        const order = boot.events.map(({ id }) => id);
        assert.deepEqual(
          order,
          order.toSorted((left, right) => left - right),
        );
      }
    }),
    { numRuns: 500 },
  );
});

test('a memory test that is chosen from the menu is no boot of its own', () => {
  const test: BladerootEvent = { type: 'boot.loader', blade: 'web01', message: 'memtest.efi' };
  const boots = bootsOf(recorded([...dora('ipxe'), served('script'), test, ...dora('ipxe')]));
  assert.deepEqual(
    boots.map(({ events }) => events.length),
    [6, 4],
  );
});
