/**
 * The same fleet with systemd: what was asked for has started, by the word of systemctl on the blade, at each start. And a
 * blade that is pinned to the first release when there is a second.
 */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { run } from '../../src/system/run.ts';
import type { LabFleet } from '../lab-fleet.fixture.ts';
import {
  BEACON_WITHOUT_NGINX,
  lines,
  LOOK_FOR_BEACON,
  PUBLISHED,
  servicesFleet,
  WEB01,
  WEB02,
} from './services.fixture.ts';

let fleet: LabFleet;
let golden: string;

before(async () => {
  ({ fleet, golden } = await servicesFleet('systemd', [WEB01, WEB02]));
});

after(async () => await fleet.down());

const LIST = ['list-unit-files', '--state=enabled', '--no-legend', '--plain', '--type=service,timer,socket'];

/** The program's own, and networkd, which configures the network of this tree. */
const ADDED = [
  'beacon.service',
  'bladeroot.service',
  'systemd-network-generator.service',
  'systemd-networkd.service',
  'systemd-networkd.socket',
  'systemd-networkd-wait-online.service',
];

/** The first word of each line. */
function names(text: string): string[] {
  return lines(text).map((line) => line.split(/\s+/)[0] ?? '');
}

async function assertServices(t: TestContext): Promise<void> {
  const inTree = names((await run('systemctl', [`--root=${golden}`, ...LIST])).stdout);
  assert.ok(inTree.includes('nginx.service'));
  const wanted = [...new Set([...inTree, ...ADDED])].filter((unit) => unit !== 'nginx.service').sort();
  assert.deepEqual(names(await fleet.shell.on(WEB01, `systemctl ${LIST.join(' ')}`)), wanted);

  t.diagnostic(await fleet.shell.on(WEB01, 'systemctl --no-pager --type=service'));
  const active = await fleet.shell.on(WEB01, 'systemctl is-active beacon ssh nginx || true');
  assert.equal(active, 'active\nactive\ninactive');
  assert.equal(await fleet.shell.on(WEB01, LOOK_FOR_BEACON), BEACON_WITHOUT_NGINX);
}

test('systemd: systemctl on the blade says that exactly what was asked for has started', async (t) => {
  // There are two releases by now, and the other blade is pinned to the first.
  await fleet.write({ [`overlays/base/${PUBLISHED}`]: 'second\n' });
  await fleet.bladeroot('blade', 'set', WEB02.name, '--pin', '1', '-y');
  await fleet.bladeroot('release', 'publish', '-m', 'the second');
  const { services, from, release } = await fleet.up(WEB01);
  assert.deepEqual({ services, from, release }, { services: 'running', from: 'network', release: 2 });
  assert.equal(await fleet.shell.on(WEB01, 'hostname'), WEB01.name);
  assert.equal(await fleet.shell.on(WEB01, `cat /${PUBLISHED}`), 'second');
  await assertServices(t);
});

test('systemd: restarted, the blade comes from its own disk, and systemctl says the same', async (t) => {
  const { services, from } = await fleet.up(WEB01, async () => await fleet.reboot(WEB01));
  assert.deepEqual({ services, from }, { services: 'running', from: 'disk' });
  await assertServices(t);
});

test('a blank machine that is pinned to the first release is deployed with that, though there is a second', async () => {
  const { services, from, release } = await fleet.up(WEB02);
  assert.deepEqual({ services, from, release }, { services: 'running', from: 'network', release: 1 });
  assert.equal(await fleet.shell.on(WEB02, `cat /${PUBLISHED}`), 'first');
  // The second one has told it so, and it takes nothing older from now on.
  const state = await fleet.shell.on(WEB02, 'cat /var/lib/bladeroot/blade.json');
  assert.match(state, /"newest": 2,/);
});
