/** The fleet folder examples/web-and-mail, published by a root in a lab, with the tree that its README has. */
import assert from 'node:assert/strict';
import { cp } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SAME_ADDRESSES } from '../../lab/demo/fleet-folder.ts';
import { goldenTree } from '../../lab/demo/golden-tree.ts';
import { CACHE, LabFleet, type LabBlade } from '../lab-fleet.fixture.ts';

export const EXAMPLE = join(dirname(dirname(import.meta.dirname)), 'examples/web-and-mail');
/** As `fleet.yaml` there has it. */
const NETWORK = { subnet: '10.20.0.0/24', prefix: '24', observer: '10.20.0.254', root: '10.20.0.1' };
export const WEB01: LabBlade = { name: 'web01', mac: '3c:ec:ef:20:00:21', address: '10.20.0.21' };
export const MAIL01: LabBlade = { name: 'mail01', mac: '3c:ec:ef:20:00:31', address: '10.20.0.31' };
export const DATABASE01: LabBlade = { name: 'database01', mac: '3c:ec:ef:20:00:41', address: '10.20.0.41' };

/** A root that serves the example; of its machines, these are there, blank and off. */
export async function exampleFleet(name: string, blades: LabBlade[]): Promise<LabFleet> {
  const fleet = await LabFleet.create({ name, network: NETWORK, blades });
  try {
    await cp(EXAMPLE, fleet.place.fleet, { recursive: true });
    await fleet.bladeroot('blade', 'set', '@all', '--kernel-args', `+${SAME_ADDRESSES}`, '-y');
    await fleet.write({ 'overlays/base/root/.ssh/authorized_keys': `${fleet.publicKey}\n` });
    const { directory } = await goldenTree(CACHE, fleet.call, 'web-and-mail');
    await fleet.publish('debian', directory);
    await fleet.startRoot();
    return fleet;
  } catch (error) {
    await fleet.down();
    throw error;
  }
}

const SERVICES = ['ssh', 'nginx', 'postfix', 'postgresql'];

/** Of the services that the image has, just these run, by the word of systemctl on the blade. */
export async function assertRuns(fleet: LabFleet, blade: LabBlade, services: string[]): Promise<void> {
  const said = await fleet.shell.on(blade, `systemctl is-active ${SERVICES.join(' ')} || true`);
  const wanted = SERVICES.map((service) => (services.includes(service) ? 'active' : 'inactive'));
  assert.deepEqual(said.split('\n'), wanted, blade.name);
}
