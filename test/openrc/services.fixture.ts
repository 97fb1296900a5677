/** One fleet folder, for a tree with systemd and for one with OpenRC. */
import { NETWORK, SAME_ADDRESSES } from '../../lab/demo/fleet-folder.ts';
import { goldenTree } from '../../lab/demo/golden-tree.ts';
import type { DebianInit } from '../../src/tree/debian.ts';
import { CACHE, LabFleet, type LabBlade } from '../lab-fleet.fixture.ts';

export const WEB01: LabBlade = { name: 'web01', mac: '52:54:00:77:00:11', address: '10.77.0.11' };
export const WEB02: LabBlade = { name: 'web02', mac: '52:54:00:77:00:12', address: '10.77.0.12' };

/** Both trees have nginx and start it; the beacon comes with an overlay, as a unit and as an init script. */
const FLEET = `name: lab
network:
  subnet: ${NETWORK.subnet}
defaults:
  overlays: [base]
  kernelArgs: [console=tty0, "console=ttyS0,115200", ${SAME_ADDRESSES}]
  services: { start: [ssh, nginx] }
profiles:
  web:
    services: { start: [beacon], stop: [nginx] }
blades:
${[WEB01, WEB02].map(({ name, mac, address }) => `  ${name}: { mac: "${mac}", address: ${address}, profile: web }`).join('\n')}
`;

/** A file of every blade that says which release it is of. */
export const PUBLISHED = 'etc/published';

const BEACON = {
  'etc/systemd/system/beacon.service':
    '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/touch /run/beacon\n[Install]\nWantedBy=multi-user.target\n',
  'etc/init.d/beacon': '#!/sbin/openrc-run\nstart() {\n\ttouch /run/beacon\n}\n',
};

export interface ServicesFleet {
  fleet: LabFleet;
  /** Where its tree is. */
  golden: string;
}

/** The fleet with a release of that tree, which a root serves. */
export async function servicesFleet(init: DebianInit, blades: LabBlade[]): Promise<ServicesFleet> {
  const fleet = await LabFleet.create({ name: `services-${init}`, network: NETWORK, blades });
  try {
    const { directory: golden } = await goldenTree(CACHE, fleet.call, init);
    const overlay = {
      ...BEACON,
      [PUBLISHED]: 'first\n',
      'root/.ssh/authorized_keys': `${fleet.publicKey}\n`,
    };
    const files = Object.entries(overlay).map(([path, text]) => [`overlays/base/${path}`, text]);
    await fleet.write({ 'fleet.yaml': FLEET, ...Object.fromEntries(files) });
    await fleet.publish(init, golden);
    await fleet.startRoot();
    return { fleet, golden };
  } catch (error) {
    await fleet.down();
    throw error;
  }
}

/** What the beacon leaves, and no nginx. */
export const BEACON_WITHOUT_NGINX = '/run/beacon\nno nginx';
export const LOOK_FOR_BEACON = 'ls /run/beacon; pgrep -x nginx || echo no nginx';

/** Lines that have something on them, sorted. */
export function lines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .sort();
}
