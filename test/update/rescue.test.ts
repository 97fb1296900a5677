/** What is asked of a blade's next boot: a rescue system, once; and to be deployed anew. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { RecordedEvent, StepReport } from '../../src/events/catalogue.ts';
import type { LabFleet } from '../lab-fleet.fixture.ts';
import { bladeState, deployedFleet, WEB01 } from './updating.fixture.ts';

let fleet: LabFleet;
/** By which others know the blade. */
const HOST_KEY = 'cat /etc/ssh/ssh_host_ed25519_key.pub';
let hostKey = '';

before(async () => {
  fleet = await deployedFleet('rescue', 'network-first');
  hostKey = await fleet.shell.on(WEB01, HOST_KEY);
});

after(async () => await fleet?.down());

function isRescue(event: RecordedEvent): event is RecordedEvent & StepReport {
  return event.type === 'blade.step' && event.step === 'rescue' && event.state === 'done';
}

test("blade rescue: the next boot is a rescue system, with SSH for the blade's keys and its own host key", async () => {
  await fleet.bladeroot('blade', 'rescue', WEB01.name);
  const told = await fleet.told(WEB01, isRescue, async () => await fleet.reboot(WEB01));
  assert.match(told.message ?? '', /ssh root@10\.77\.0\.11; the blade's own host key: 256 SHA256:/);
  assert.equal(await fleet.shell.on(WEB01, HOST_KEY), hostKey);
  const mounts = await fleet.shell.on(WEB01, 'cat /proc/mounts');
  assert.doesNotMatch(mounts, /ext4|vfat/, 'nothing of its disk is mounted');
  assert.match(await fleet.shell.on(WEB01, 'blkid'), /bladeroot-persist/);
});

test('once: the boot after that starts what is on its disk', async () => {
  const { release, slot, from } = await fleet.up(WEB01, async (machine) => await machine.reset());
  assert.deepEqual([release, slot, from], [1, 'a', 'disk']);
});

test('blade reinstall: the next boot deploys it anew, and it is who it was', async () => {
  await fleet.shell.on(WEB01, 'touch /persist/kept');
  await fleet.bladeroot('blade', 'reinstall', WEB01.name);
  const { release, slot, from, services } = await fleet.up(WEB01, async () => await fleet.reboot(WEB01));
  assert.deepEqual([release, slot, from, services], [1, 'b', 'network', 'running']);
  assert.equal(await fleet.shell.on(WEB01, HOST_KEY), hostKey);
  assert.equal(await fleet.shell.on(WEB01, 'ls /persist/kept'), '/persist/kept');
  assert.match(await bladeState(fleet), /"b": \{[^}]*"good": true/);
});
