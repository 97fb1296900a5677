/** A release with which a blade does not become healthy: it is back by itself, says why, and does not try it again. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { LabFleet } from '../lab-fleet.fixture.ts';
import {
  bladeState,
  deployedFleet,
  fleetYaml,
  isEndOfUpdate,
  publishNext,
  releaseSeen,
  WEB01,
} from './updating.fixture.ts';

let fleet: LabFleet;

before(async () => {
  fleet = await deployedFleet('bad-release', 'disk-first');
});

after(async () => await fleet?.down());

test('`blade update` on the blade prepares a release at once', async () => {
  const health = '  health: { command: ["test -e /etc/healthy"], timeout: 10 }\n';
  await fleet.write({ 'fleet.yaml': fleetYaml(fleet, health) });
  // Else its service may be quicker.
  await fleet.shell.on(WEB01, 'systemctl stop bladeroot');
  await publishNext(fleet, 'bad');
  const ready = await fleet.told(WEB01, isEndOfUpdate, async () => {
    await fleet.shell.on(WEB01, 'bladeroot blade update');
  });
  assert.deepEqual([ready.state, ready.release, ready.slot], ['ready', 2, 'b'], ready.message);
});

test('started into it, the blade tries it twice and comes back with the last good slot, and the root knows why', async (t) => {
  const up = await fleet.up(WEB01, async () => await fleet.reboot(WEB01));
  const { release, slot, from, services, bad } = up;
  assert.deepEqual([release, slot, from, services], [1, 'a', 'disk', 'running']);
  assert.equal(bad?.release, 2);
  assert.match(bad.reason, /test -e \/etc\/healthy/);
  assert.match(await releaseSeen(fleet), / one$/);
  t.diagnostic(await bladeState(fleet));
  const boots = await fleet.lab.machine(WEB01.name).consoleText();
  const started = [...boots.matchAll(/booting slot ([ab]) from the disk/g)].map(([, each]) => each);
  assert.deepEqual(started, ['b', 'b', 'a']);
  const status = JSON.stringify(await fleet.bladeroot('blade', 'status'));
  assert.match(status, /etc\/healthy/);
});

test('it does not install that release again by itself', async () => {
  const said = await fleet.shell.on(WEB01, 'bladeroot blade update 2>&1');
  assert.match(said, /release 2 was bad here: .*etc\/healthy/);
});
