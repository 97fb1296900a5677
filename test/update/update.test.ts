/** A blade that runs brings its other slot to the next release, and its next start takes it: from its disk alone. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { LabFleet } from '../lab-fleet.fixture.ts';
import { deployedFleet, isEndOfUpdate, publishNext, releaseSeen, WEB01 } from './updating.fixture.ts';

let fleet: LabFleet;

before(async () => {
  fleet = await deployedFleet('update', 'disk-first');
});

after(async () => await fleet?.down());

test('it finds the release by itself, prepares it, and goes on running what it runs', async (t) => {
  const ready = await fleet.told(WEB01, isEndOfUpdate, async () => await publishNext(fleet, 'two'));
  t.diagnostic(
    await fleet.shell.on(WEB01, 'journalctl --no-pager --output=short-monotonic --unit=bladeroot'),
  );
  assert.deepEqual([ready.state, ready.release, ready.slot], ['ready', 2, 'b'], ready.message);
  assert.match(await releaseSeen(fleet), / one$/);
  assert.equal(await fleet.shell.on(WEB01, 'findmnt --noheadings --output PARTLABEL /'), 'bladeroot-a');
});

test('its next start, from the disk, takes the other slot, which is good', async (t) => {
  const up = await fleet.up(WEB01, async () => await fleet.reboot(WEB01));
  const { release, slot, from, services, bad } = up;
  assert.deepEqual([release, slot, from, services, bad], [2, 'b', 'disk', 'running', undefined]);
  assert.equal(await releaseSeen(fleet), 'two two');
  t.diagnostic(await fleet.shell.on(WEB01, 'cat /var/lib/bladeroot/blade.json; cat /boot/efi/grub/grubenv'));
});

test('blade verify finds nothing on it that is not as its release says, and names what is changed', async () => {
  const verify = 'bladeroot blade verify --local; echo "status $?"';
  assert.equal(
    await fleet.shell.on(WEB01, verify),
    'web01 is release 2, in slot b; nothing has drifted\nstatus 0',
  );
  await fleet.shell.on(
    WEB01,
    'echo changed >> /etc/nginx/nginx.conf; touch /usr/bin/added; rm /etc/issue.net',
  );
  const found = await fleet.shell.on(WEB01, verify);
  for (const path of ['etc/nginx/nginx.conf', 'usr/bin/added', 'etc/issue.net']) {
    assert.ok(found.includes(path), found);
  }
  assert.match(found, /status 1$/);
});
