import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AGENT_STEPS, type BladerootEvent } from './catalogue.ts';
import { outcomeOf, type Outcome } from './stopped.ts';

const MAC = '52:54:00:77:00:11';
const LONG_MS = 86_400_000;

/** What became of these events, one a second, as it stands `silent` milliseconds after the last. */
function outcome(events: BladerootEvent[], silent = LONG_MS, superseded = false): Outcome {
  const recorded = events.map((event, index) => ({ ...event, id: index + 1, time: index * 1000 }));
  const last = recorded.at(-1)?.time ?? 0;
  return outcomeOf({ machine: 'web01', events: recorded }, last + silent, superseded);
}

const dhcp = (type: string, client?: 'firmware' | 'ipxe' | 'system'): BladerootEvent => ({
  type: type as 'dhcp.ack',
  mac: MAC,
  ...(client === undefined ? {} : { client }),
});
const dora = (client: 'firmware' | 'ipxe' | 'system'): BladerootEvent[] => [
  dhcp('dhcp.discover', client),
  dhcp('dhcp.offer'),
  dhcp('dhcp.request', client),
  dhcp('dhcp.ack'),
];
const served = (type: string, more: object = {}): BladerootEvent => ({
  type: type as 'boot.loader',
  blade: 'web01',
  ...more,
});

const CASES: [name: string, events: BladerootEvent[], where: RegExp, cause: RegExp][] = [
  ['a MAC that no blade has', [dhcp('dhcp.unknown')], /no blade has its MAC/, /release publish/],
  ['no OFFER', [dhcp('dhcp.discover', 'firmware')], /no OFFER could be sent/, /doctor/],
  ['no REQUEST', dora('firmware').slice(0, 2), /OFFER without REQUEST/, /another DHCP server/],
  ['no REQUEST (2)', dora('firmware').slice(0, 2), /OFFER without REQUEST/, /VLAN.*portfast/],
  ['no ACK', dora('firmware').slice(0, 3), /no ACK/, /restarted/],
  ['a NAK', [...dora('firmware').slice(0, 3), dhcp('dhcp.nak')], /refused/, /cold start/],
  ['no loader', dora('firmware'), /did not fetch a loader/, /TFTP/],
  ['half a loader', [...dora('firmware'), served('boot.failed')], /not be sent/, /names the boot file/],
  ['no second DISCOVER', [...dora('firmware'), served('boot.loader')], /no second DISCOVER/, /Secure Boot/],
  ['no script', [...dora('firmware'), served('boot.loader'), ...dora('ipxe')], /its script/, /8067/],
  ['no kernel', [...dora('ipxe'), served('boot.script', { message: 'agent' })], /the kernel whole/, /menu/],
  ['half a kernel', [served('boot.kernel', { done: 1, total: 2 })], /kernel was broken off/, /MTU/],
  ['no initrd', [served('boot.kernel', { done: 2, total: 2 })], /the initrd whole/, /memory/],
  ['half an initrd', [served('boot.initrd', { done: 1, total: 2 })], /initrd was broken off/, /memory/],
  ['no system', [served('boot.kernel'), served('boot.initrd')], /nothing was heard/, /driver of its NIC/],
  ['no agent', [served('boot.initrd'), ...dora('system')], /agent did not report/, /console/],
  ['no life on the disk', [served('boot.script', { message: 'local-disk' })], /its own disk/, /boot loader/],
];

for (const [name, events, where, cause] of CASES) {
  test(`a boot that stopped says where, and what usually causes it: ${name}`, () => {
    const stopped = outcome(events);
    assert.ok(stopped.kind === 'stopped');
    assert.match(stopped.where, where);
    assert.ok(
      stopped.causes.some((text) => cause.test(text)),
      stopped.causes.join('\n'),
    );
    assert.notEqual(outcome(events, 1).kind, name === 'a MAC that no blade has' ? 'under way' : 'stopped');
  });
}

test('every step of the agent can be where it stopped', () => {
  for (const name of AGENT_STEPS.filter((step) => step !== 'up' && step !== 'rescue')) {
    const step: BladerootEvent = {
      type: 'blade.step',
      blade: 'web01',
      boot: 'b',
      step: name,
      state: 'started',
    };
    const stopped = outcome([step]);
    assert.ok(stopped.kind === 'stopped' && stopped.causes.length > 0, name);
    assert.equal(outcome([step], 1).kind, 'under way');
  }
});

test('a step that failed says what the agent said', () => {
  const stopped = outcome(
    [
      {
        type: 'blade.step',
        blade: 'web01',
        boot: 'b',
        step: 'fetch',
        state: 'failed',
        message: 'pack x is damaged',
      },
    ],
    1,
  );
  assert.ok(stopped.kind === 'stopped');
  assert.equal(stopped.where, 'fetch failed: pack x is damaged');
});

test('a renewed lease does not hide where the deployment stopped', () => {
  const fetching: BladerootEvent = {
    type: 'blade.step',
    blade: 'web01',
    boot: 'b',
    step: 'fetch',
    state: 'started',
  };
  const stopped = outcome([fetching, dhcp('dhcp.request', 'system'), dhcp('dhcp.ack')]);
  assert.ok(stopped.kind === 'stopped');
  assert.match(stopped.where, /fetching the image/);
});

test('a boot that another one followed has stopped, however short ago, and says that it started over', () => {
  const stopped = outcome([...dora('firmware'), served('boot.loader')], 1, true);
  assert.ok(stopped.kind === 'stopped');
  assert.match(stopped.where, /started over$/);
});

test('a boot that came up says after how long, whatever came afterwards', () => {
  const up: BladerootEvent = {
    type: 'blade.up',
    blade: 'web01',
    boot: 'b',
    release: 1,
    slot: 'a',
    from: 'disk',
    services: 'running',
  };
  assert.deepEqual(outcome([dhcp('dhcp.discover'), up, dhcp('dhcp.request')]), { kind: 'up', after: 1000 });
});

test('a memory test goes on for as long as it likes, and is what the boot has come to', () => {
  const events = [...dora('ipxe'), served('boot.script'), served('boot.loader', { message: 'memtest.bin' })];
  assert.deepEqual(outcome(events), { kind: 'under way' });
  const stopped = outcome(events, 1, true);
  assert.ok(stopped.kind === 'stopped');
  assert.match(stopped.where, /the memory test was chosen.*; it started over/);
});

test('so does a rescue system', () => {
  const runs: BladerootEvent = {
    type: 'blade.step',
    blade: 'web01',
    boot: 'b',
    step: 'rescue',
    state: 'done',
  };
  assert.deepEqual(outcome([...dora('ipxe'), runs]), { kind: 'under way' });
  const stopped = outcome([runs], 1, true);
  assert.ok(stopped.kind === 'stopped');
  assert.match(stopped.where, /it runs its rescue system.*; it started over/);
});
