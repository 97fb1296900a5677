/** A blade on two disks, of which either may fail: deployed, started without a root from each of them alone, and made whole. */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { z } from 'zod';
import { NETWORK, SAME_ADDRESSES } from '../../lab/demo/fleet-folder.ts';
import { goldenTree } from '../../lab/demo/golden-tree.ts';
import type { MirrorReport, RecordedEvent } from '../../src/events/catalogue.ts';
import { CACHE, LabFleet, type LabBlade } from '../lab-fleet.fixture.ts';

const WEB01: LabBlade = { name: 'web01', mac: '52:54:00:77:00:11', address: '10.77.0.11' };
const DISK_BYTES = 6 * 1024 ** 3;

let fleet: LabFleet;

before(async () => {
  fleet = await LabFleet.create({
    name: 'raid-mirror',
    network: NETWORK,
    blades: [WEB01],
    bootOrder: 'disk-first',
    machine: { diskBytes: DISK_BYTES, secondDiskBytes: DISK_BYTES },
  });
  const { directory } = await goldenTree(CACHE, fleet.call, 'mirror');
  await fleet.write({ 'fleet.yaml': fleetYaml(fleet) });
  await fleet.publish('debian', directory);
  await fleet.startRoot();
});

after(async () => await fleet?.down());

function fleetYaml({ publicKey }: LabFleet): string {
  return `name: lab
network:
  subnet: ${NETWORK.subnet}
defaults:
  kernelArgs: [console=tty0, "console=ttyS0,115200", ${SAME_ADDRESSES}]
  services: { start: [ssh], stop: [nginx] }
  ssh: { authorizedKeys: ["${publicKey}"] }
  disks: { raid: 1, slot: 1GiB }
blades:
  ${WEB01.name}: { mac: "${WEB01.mac}", address: ${WEB01.address} }
`;
}

function isMirror(state: MirrorReport['state']) {
  return (event: RecordedEvent): event is RecordedEvent & MirrorReport =>
    event.type === 'blade.mirror' && event.state === state;
}

/** How the blade came up this time: for whoever looks why it did not. */
async function look(t: TestContext): Promise<string> {
  const mirror = await fleet.shell.on(WEB01, 'cat /proc/mdstat; grep -E "md127|/efi|/esp" /proc/mounts');
  t.diagnostic(mirror);
  t.diagnostic(await fleet.shell.on(WEB01, 'cat /proc/cmdline; systemctl --failed --no-legend'));
  t.diagnostic(
    await fleet.shell.on(WEB01, 'journalctl --no-pager -o short-monotonic -u bladeroot | tail -30'),
  );
  return mirror;
}

async function switchOff(): Promise<void> {
  await fleet.shell.on(WEB01, 'sync');
  await fleet.lab.machine(WEB01.name).powerOff();
}

async function mirrorSeen(): Promise<string | undefined> {
  const status = z.array(z.object({ mirror: z.object({ state: z.string() }).optional() }));
  return status.parse(await fleet.bladeroot('blade', 'status'))[0]?.mirror?.state;
}

test('it is deployed onto both disks, and both have what it starts from', async (t) => {
  const up = await fleet.up(WEB01);
  const mirror = await look(t);
  assert.deepEqual([up.release, up.slot, up.from, up.services], [1, 'a', 'network', 'running']);
  assert.match(mirror, /\[2\/2\] \[UU\]/);
  assert.equal(await mirrorSeen(), 'whole');
  const kernels = await fleet.shell.on(
    WEB01,
    'sha256sum /run/bladeroot/esp/*/bladeroot/a/vmlinuz | cut -c1-64',
  );
  const [first, second, ...more] = kernels.split('\n');
  assert.deepEqual([first === second, more.length], [true, 0], kernels);
});

test('with its first disk taken out, and with no root, it starts from the other one', async (t) => {
  await fleet.shell.on(WEB01, 'echo one > /persist/one');
  await fleet.stopRoot();
  await fleet.answersAgain(WEB01, async (machine) => {
    await switchOff();
    await machine.pullDisk('first');
    await machine.powerOn();
  });
  assert.match(await look(t), /\[2\/1\]/);
  assert.match(await fleet.shell.on(WEB01, 'cat /proc/cmdline'), /bladeroot\.slot=a .*bladeroot\.mirror=/);
  await fleet.shell.on(WEB01, 'echo two > /persist/two');
});

test('a root that comes up hears that the mirror lacks a half', async (t) => {
  const told = await fleet.told(WEB01, isMirror('degraded'), async () => await fleet.startRoot());
  t.diagnostic(told.message);
  assert.equal(await mirrorSeen(), 'degraded');
});

test('a blank disk in its place becomes its other half while it runs', async (t) => {
  await switchOff();
  const machine = fleet.lab.machine(WEB01.name);
  await machine.putDisk('first', 'blank');
  const whole = await fleet.told(WEB01, isMirror('whole'), async () => await machine.powerOn());
  t.diagnostic(whole.message);
  assert.match(await look(t), /\[UU\]/);
});

test('with the other one taken out, it starts from that disk alone, with all that it had', async (t) => {
  await switchOff();
  await fleet.lab.machine(WEB01.name).pullDisk('second');
  const up = await fleet.up(WEB01);
  assert.deepEqual([up.slot, up.from, up.services], ['a', 'disk', 'running'], await look(t));
  assert.equal(await fleet.shell.on(WEB01, 'cat /persist/one /persist/two'), 'one\ntwo');
});
