/** One blade that runs, and the releases that come after its first. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NETWORK, SAME_ADDRESSES } from '../../lab/demo/fleet-folder.ts';
import { goldenTree } from '../../lab/demo/golden-tree.ts';
import type { MachineRequest } from '../../lab/state.ts';
import type { RecordedEvent, UpdateReport } from '../../src/events/catalogue.ts';
import { CACHE, LabFleet, type LabBlade } from '../lab-fleet.fixture.ts';

export const WEB01: LabBlade = { name: 'web01', mac: '52:54:00:77:00:11', address: '10.77.0.11' };

/** In the tree, and from an overlay: which release the blade is of. */
const IN_TREE = 'etc/bladeroot-tree';
const LAID_OVER = 'etc/bladeroot-overlay';
const TREE = 'debian';

/** A root, and a blade that it has deployed with the first release. @param name of the lab's folder */
export async function deployedFleet(name: string, bootOrder: MachineRequest['bootOrder']): Promise<LabFleet> {
  const fleet = await LabFleet.create({ name, network: NETWORK, blades: [WEB01], bootOrder });
  try {
    const { directory } = await goldenTree(CACHE, fleet.call);
    await fleet.write({ 'fleet.yaml': fleetYaml(fleet), [`overlays/base/${LAID_OVER}`]: 'one\n' });
    await fleet.publish(TREE, directory);
    await fleet.startRoot();
    const { release, slot, from, services } = await fleet.up(WEB01);
    assert.deepEqual([release, slot, from, services], [1, 'a', 'network', 'running']);
    return fleet;
  } catch (error) {
    await fleet.down();
    throw error;
  }
}

/** @param more keys of `defaults` */
export function fleetYaml({ publicKey }: LabFleet, more = ''): string {
  return `name: lab
network:
  subnet: ${NETWORK.subnet}
defaults:
  overlays: [base]
  kernelArgs: [console=tty0, "console=ttyS0,115200", ${SAME_ADDRESSES}]
  services: { start: [ssh] }
  ssh: { authorizedKeys: ["${publicKey}"] }
${more}blades:
  ${WEB01.name}: { mac: "${WEB01.mac}", address: ${WEB01.address} }
`;
}

/** Changes tree and overlay, and publishes. */
export async function publishNext(fleet: LabFleet, what: string): Promise<void> {
  await writeFile(join(fleet.place.state, 'trees', TREE, IN_TREE), `${what}\n`);
  await fleet.write({ [`overlays/base/${LAID_OVER}`]: `${what}\n` });
  await fleet.bladeroot('snapshot', 'pack', TREE);
  await fleet.bladeroot('release', 'publish', '-m', what);
}

/** What the blade's own files say of its release: from the tree, and from the overlay. */
export async function releaseSeen(fleet: LabFleet): Promise<string> {
  return await fleet.shell.on(WEB01, `cat /${IN_TREE} /${LAID_OVER} 2>&1 | tr '\\n' ' '`);
}

/** An update that has come to its end, either way. */
export function isEndOfUpdate(event: RecordedEvent): event is RecordedEvent & UpdateReport {
  return event.type === 'blade.update' && event.state !== 'started';
}

export async function bladeState(fleet: LabFleet): Promise<string> {
  return await fleet.shell.on(WEB01, 'cat /var/lib/bladeroot/blade.json');
}
