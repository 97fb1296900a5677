/** What OpenRC itself says of a blade, beside what was asked for. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { assetPath } from '../../src/system/asset.ts';
import { run } from '../../src/system/run.ts';
import { inNamespaces } from '../../src/tree/namespaces.ts';
import type { LabBlade, LabFleet } from '../lab-fleet.fixture.ts';
import { BEACON_WITHOUT_NGINX, lines, LOOK_FOR_BEACON } from './services.fixture.ts';

const SHOW = `rc-update show sysinit boot default | sed 's, *|.*,,'`;

/** What was asked for: all that the tree starts, without nginx, with the beacon and the program's own service. */
async function wantedServices(golden: string): Promise<string[]> {
  const entered = inNamespaces(['sh', assetPath('tree/enter.sh'), golden, 'sh', '-euc', SHOW]);
  const inTree = lines((await run(...entered)).stdout);
  assert.ok(inTree.includes('nginx'));
  return [...inTree.filter((service) => service !== 'nginx'), 'beacon', 'bladeroot'].sort();
}

/** Services that rc-status calls started; of those that OpenRC supervises it says since when, and how often again. */
function startedIn(status: string): string[] {
  return [...status.matchAll(/^ (\S+) +\[ +started\b[^\]]*\]/gm)].map(([, service]) => service ?? '');
}

/**
 * That just the services run that the fleet asks for.
 * @param golden where the tree is that the blade was made of
 * @param more services that somebody has started since
 */
export async function assertRcStatus(
  t: TestContext,
  { fleet, golden }: { fleet: LabFleet; golden: string },
  blade: LabBlade,
  more: string[] = [],
): Promise<void> {
  const wanted = [...(await wantedServices(golden)), ...more].sort();
  assert.deepEqual(lines(await fleet.shell.on(blade, SHOW)), wanted);

  const status = await fleet.shell.on(blade, 'rc-status --nocolor --all');
  t.diagnostic(status);
  const [levels = '', needed = ''] = status.split('Dynamic Runlevel: needed/wanted');
  // checkroot.sh needs it, for the end.
  assert.deepEqual(startedIn(needed), ['umountroot']);
  const started = new Set(startedIn(levels));
  started.delete('umountroot');
  assert.deepEqual([...started].sort(), wanted);
  assert.equal(await fleet.shell.on(blade, 'ls /run/openrc/failed'), '');
  assert.equal(await fleet.shell.on(blade, LOOK_FOR_BEACON), BEACON_WITHOUT_NGINX);
}
