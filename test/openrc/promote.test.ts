/** A blade with OpenRC becomes the root. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRcStatus } from './rc-status.fixture.ts';
import { servicesFleet, WEB01, WEB02, type ServicesFleet } from './services.fixture.ts';

let services: ServicesFleet;

before(async () => {
  services = await servicesFleet('openrc', [WEB01, WEB02]);
});

after(async () => await services.fleet.down());

test('OpenRC: a blade is promoted when the root is gone, and deploys another', async (t) => {
  const { fleet } = services;
  await fleet.up(WEB01);
  await fleet.stopRoot();
  await fleet.shell.on(WEB01, 'bladeroot promote');
  await assertRcStatus(t, services, WEB01, ['bladeroot-root']);

  await fleet.listenTo(WEB01);
  const up = await fleet.up(WEB02);
  assert.deepEqual([up.services, up.from], ['running', 'network']);
  assert.equal(await fleet.shell.on(WEB02, 'hostname'), WEB02.name);
  const state = await fleet.shell.on(WEB02, 'cat /var/lib/bladeroot/blade.json');
  assert.match(state, new RegExp(`"roots": \\[\\s*"http://${WEB01.address}:`));
});
