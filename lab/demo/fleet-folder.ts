/** The fleet of the lab, as an administrator would write it: plain files. */
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeFileAtomic } from '../../src/system/write-file.ts';

/** The lab's Ethernet segment; in a network namespace of its own, so that it may be any subnet. */
export const NETWORK = {
  subnet: '10.77.0.0/24',
  /** The lab's own address, from where it looks at the blades. */
  observer: '10.77.0.254',
  root: '10.77.0.1',
  prefix: '24',
} as const;

/**
 * A kernel argument for blades in a lab. QEMU keeps what it has translated of a page by the address at which it was run:
 * with libraries at other addresses in each process, all is translated anew for each, and a page that has served many
 * takes seconds to be written again.
 */
export const SAME_ADDRESSES = 'norandmaps';

/** Where a root answers HTTP. */
export { HTTP_PORT } from '../../src/daemon/root.ts';

export interface DemoBlade {
  name: string;
  mac: string;
  address: string;
  profile: 'web' | 'mail';
}

export const BLADES = [
  { name: 'web01', mac: '52:54:00:77:00:11', address: '10.77.0.11', profile: 'web' },
  { name: 'web02', mac: '52:54:00:77:00:12', address: '10.77.0.12', profile: 'web' },
  { name: 'web03', mac: '52:54:00:77:00:13', address: '10.77.0.13', profile: 'web' },
  { name: 'mail01', mac: '52:54:00:77:00:21', address: '10.77.0.21', profile: 'mail' },
] as const satisfies DemoBlade[];

export type BladeName = (typeof BLADES)[number]['name'];

export function bladeOf(name: BladeName): DemoBlade {
  const blade = BLADES.find((candidate) => candidate.name === name);
  if (blade === undefined) throw new Error(`the lab's fleet has no blade ${name}`);
  return blade;
}

/** Written over what `bladeroot init` left as an example. @param publicKey of the lab's own ssh key */
export async function writeFleetFolder(directory: string, publicKey: string): Promise<void> {
  const files = {
    'fleet.yaml': fleetYaml(),
    'overlays/base/etc/motd.liquid': MOTD,
    'overlays/base/root/.ssh/authorized_keys': publicKey,
    'overlays/web/var/www/html/index.html.liquid': INDEX,
  };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFileAtomic(join(directory, path), text);
  }
}

function fleetYaml(): string {
  const blades = BLADES.map(
    ({ name, mac, address, profile }) =>
      `  ${name}: { mac: "${mac}", address: ${address}, profile: ${profile} }`,
  );
  return `name: lab
network:
  subnet: ${NETWORK.subnet}
defaults:
  overlays: [base]
  services: { start: [ssh] }
  kernelArgs: [console=tty0, "console=ttyS0,115200", ${SAME_ADDRESSES}]
profiles:
  web:
    overlays: [web]
    services: { start: [nginx] }
  mail:
    services: { stop: [nginx] }
blades:
${blades.join('\n')}
`;
}

const MOTD = `
This is {{ blade.name }} ({{ blade.address }}), {{ blade.profiles | join: " and " }} of the fleet {{ fleet.name }}.
`;

const INDEX = `<!doctype html>
<title>{{ blade.name }}</title>
<h1>{{ blade.name }} serves</h1>
`;
