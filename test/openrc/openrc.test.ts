/** A fleet with OpenRC: a blade starts exactly what was asked for, by the word of rc-status on the blade itself, at each start. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRcStatus } from './rc-status.fixture.ts';
import { servicesFleet, WEB01, type ServicesFleet } from './services.fixture.ts';

let services: ServicesFleet;

before(async () => {
  services = await servicesFleet('openrc', [WEB01]);
});

after(async () => await services.fleet.down());

test('OpenRC: rc-status on the blade says that exactly what was asked for has started', async (t) => {
  const { fleet } = services;
  const up = await fleet.up(WEB01);
  assert.deepEqual([up.services, up.from], ['running', 'network']);
  const init = await fleet.shell.on(WEB01, 'cat /proc/1/comm; readlink /proc/1/exe');
  assert.match(init, /^init\n.*\/sbin\/init$/);
  assert.equal(await fleet.shell.on(WEB01, 'hostname'), WEB01.name);
  await assertRcStatus(t, services, WEB01);
});

test('OpenRC: restarted, the blade comes from its own disk, and rc-status says the same', async (t) => {
  const { fleet } = services;
  const up = await fleet.up(WEB01, async () => await fleet.reboot(WEB01));
  assert.deepEqual([up.services, up.from], ['running', 'disk']);
  await assertRcStatus(t, services, WEB01);
});

test('OpenRC: without a root the blade starts as well, and rc-status says the same', async (t) => {
  const { fleet } = services;
  await fleet.stopRoot();
  await fleet.answersAgain(WEB01, async () => await fleet.reboot(WEB01));
  assert.match(await fleet.shell.on(WEB01, 'cat /proc/cmdline'), /bladeroot\.slot=a/);
  await assertRcStatus(t, services, WEB01);
});
