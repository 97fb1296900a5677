/**
 * A fleet with OpenRC: its blades start exactly what was asked for, by the word of rc-status on the blade itself, at each
 * start; and one of them becomes the root.
 */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { assetPath } from '../../src/system/asset.ts';
import { run } from '../../src/system/run.ts';
import { inNamespaces } from '../../src/tree/namespaces.ts';
import type { LabFleet } from '../lab-fleet.fixture.ts';
import {
  BEACON_WITHOUT_NGINX,
  lines,
  LOOK_FOR_BEACON,
  servicesFleet,
  WEB01,
  WEB02,
} from './services.fixture.ts';

let fleet: LabFleet;
let golden: string;

before(async () => {
  ({ fleet, golden } = await servicesFleet('openrc', [WEB01, WEB02]));
});

after(async () => await fleet.down());

const SHOW = `rc-update show sysinit boot default | sed 's, *|.*,,'`;

/** What was asked for: all that the tree starts, without nginx, with the beacon and the program's own service. */
async function wantedServices(): Promise<string[]> {
  const entered = inNamespaces(['sh', assetPath('tree/enter.sh'), golden, 'sh', '-euc', SHOW]);
  const inTree = lines((await run(...entered)).stdout);
  assert.ok(inTree.includes('nginx'));
  return [...inTree.filter((service) => service !== 'nginx'), 'beacon', 'bladeroot'].sort();
}

/** Services that rc-status calls started. */
function startedIn(status: string): string[] {
  return [...status.matchAll(/^ (\S+) +\[ +started +\]/gm)].map(([, service]) => service ?? '');
}

/** @param more services that somebody has started since */
async function assertServices(t: TestContext, more: string[] = []): Promise<void> {
  const wanted = [...(await wantedServices()), ...more].sort();
  assert.deepEqual(lines(await fleet.shell.on(WEB01, SHOW)), wanted);

  const status = await fleet.shell.on(WEB01, 'rc-status --nocolor --all');
  t.diagnostic(status);
  const [levels = '', needed = ''] = status.split('Dynamic Runlevel: needed/wanted');
  // checkroot.sh needs it, for the end.
  assert.deepEqual(startedIn(needed), ['umountroot']);
  const started = new Set(startedIn(levels));
  started.delete('umountroot');
  assert.deepEqual([...started].sort(), wanted);
  assert.equal(await fleet.shell.on(WEB01, 'ls /run/openrc/failed'), '');
  assert.equal(await fleet.shell.on(WEB01, LOOK_FOR_BEACON), BEACON_WITHOUT_NGINX);
}

test('OpenRC: rc-status on the blade says that exactly what was asked for has started', async (t) => {
  const { services, from } = await fleet.up(WEB01);
  assert.deepEqual({ services, from }, { services: 'running', from: 'network' });
  const init = await fleet.shell.on(WEB01, 'cat /proc/1/comm; readlink /proc/1/exe');
  assert.match(init, /^init\n.*\/sbin\/init$/);
  assert.equal(await fleet.shell.on(WEB01, 'hostname'), WEB01.name);
  await assertServices(t);
});

test('OpenRC: restarted, the blade comes from its own disk, and rc-status says the same', async (t) => {
  const { services, from } = await fleet.up(WEB01, async () => await fleet.reboot(WEB01));
  assert.deepEqual({ services, from }, { services: 'running', from: 'disk' });
  await assertServices(t);
});

test('OpenRC: without a root the blade starts as well, and rc-status says the same', async (t) => {
  await fleet.stopRoot();
  await fleet.answersAgain(WEB01, async () => await fleet.reboot(WEB01));
  assert.match(await fleet.shell.on(WEB01, 'cat /proc/cmdline'), /bladeroot\.slot=a/);
  await assertServices(t);
});

test('OpenRC: a blade is promoted, and deploys another', async (t) => {
  await fleet.shell.on(WEB01, 'bladeroot promote');
  await assertServices(t, ['bladeroot-root']);
  await fleet.listenTo(WEB01);
  const { services, from } = await fleet.up(WEB02);
  assert.deepEqual({ services, from }, { services: 'running', from: 'network' });
  assert.equal(await fleet.shell.on(WEB02, 'hostname'), WEB02.name);
  const state = await fleet.shell.on(WEB02, 'cat /var/lib/bladeroot/blade.json');
  assert.match(state, new RegExp(`"roots": \\[\\s*"http://${WEB01.address}:`));
});
