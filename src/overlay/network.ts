import { writeFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { BladerootError } from '../errors.ts';
import type { ResolvedBlade } from '../fleet/resolve.ts';
import { followLinks, type ImageFiles } from '../image/files.ts';
import type { ServiceManager } from '../tree/services/service-manager.ts';
import { readIfThere } from '../system/read-file.ts';
import { fileEntry, type BuiltIn } from './entry.ts';

const ORIGIN = 'built in: network';

/** Files that name the card. */
const NETWORKD_FILE = 'etc/systemd/network/10-bladeroot.network';
const IFUPDOWN_FILE = 'etc/network/interfaces';

/** Instead of the MAC of a blade that fleet.yaml names by serial number or GUID: only on the blade it is known. */
const BOOT_CARD = '@card that it booted from@';

/** What an image configures its network with. */
export type NetworkConfig = { by: 'systemd-networkd'; waitOnline: string | undefined } | { by: 'ifupdown' };

/**
 * What an image configures its network with.
 * @throws BladerootError `NO_NETWORK_CONFIG`
 */
export async function networkOf(image: ImageFiles, services: ServiceManager): Promise<NetworkConfig> {
  const networkd = services.name === 'systemd' ? await firstOf(image, NETWORKD) : undefined;
  if (networkd !== undefined) {
    const waitOnline = `${networkd}-wait-online`;
    const there = await image.stat(waitOnline);
    return { by: 'systemd-networkd', waitOnline: there === undefined ? undefined : waitOnline };
  }
  const ifup = await firstOf(image, IFUP);
  // The ifup of busybox is a link to it, and knows no MAC addresses.
  if (ifup !== undefined && posix.basename(ifup) === 'ifup') return { by: 'ifupdown' };
  throw new BladerootError(
    'NO_NETWORK_CONFIG',
    'the image has nothing that configures its network that bladeroot knows',
    {
      hint: 'install systemd-networkd or ifupdown in the tree and pack it again',
    },
  );
}

/** The fixed address of a blade. The card is known by its MAC address, as the kernel may name it in any way. */
export function networkEntries(blade: ResolvedBlade, config: NetworkConfig): BuiltIn {
  return config.by === 'systemd-networkd' ? systemdNetworkd(blade, config.waitOnline) : ifupdown(blade);
}

const NETWORKD = ['usr/lib/systemd/systemd-networkd', 'lib/systemd/systemd-networkd'];
const IFUP = ['usr/sbin/ifup', 'sbin/ifup'];

async function firstOf(image: ImageFiles, paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    const real = await followLinks(image, path);
    if (real !== undefined) return real;
  }
  return undefined;
}

/** Seconds that units which want a network may wait for it: a blade with its cable out has to boot all the same. */
const ONLINE_TIMEOUT = 10;

/** systemd.network(5). */
function systemdNetworkd(blade: ResolvedBlade, waitOnline: string | undefined): BuiltIn {
  const lines = [
    '[Match]',
    `MACAddress=${blade.mac ?? BOOT_CARD}`,
    // A bridge or VLAN on the card has its MAC address, too.
    'Type=ether',
    '',
    '[Network]',
    `Address=${blade.address}/${blade.prefixLength}`,
    ...(blade.gateway === undefined ? [] : [`Gateway=${blade.gateway}`]),
    ...blade.dns.map((server) => `DNS=${server}`),
    ...(blade.domain === undefined ? [] : [`Domains=${blade.domain}`]),
  ];
  const entries = [fileEntry(NETWORKD_FILE, `${lines.join('\n')}\n`, ORIGIN)];
  if (waitOnline !== undefined) {
    const text = `[Service]\nExecStart=\nExecStart=-/${waitOnline} --any --timeout=${ONLINE_TIMEOUT}\n`;
    const path = 'etc/systemd/system/systemd-networkd-wait-online.service.d/bladeroot.conf';
    entries.push(fileEntry(path, text, ORIGIN));
  }
  return { entries, start: ['systemd-networkd'] };
}

/** interfaces(5), "Pattern matching interfaces": `mac/…` finds the card, `=bladeroot` names its stanza. */
function ifupdown(blade: ResolvedBlade): BuiltIn {
  const lines = [
    'auto lo',
    'iface lo inet loopback',
    '',
    `auto mac/${blade.mac ?? BOOT_CARD}=bladeroot`,
    'iface bladeroot inet static',
    `    address ${blade.address}/${blade.prefixLength}`,
    ...(blade.gateway === undefined ? [] : [`    gateway ${blade.gateway}`]),
  ];
  return {
    entries: [fileEntry(IFUPDOWN_FILE, `${lines.join('\n')}\n`, ORIGIN)],
    start: ['networking'],
  };
}

/**
 * Names the card in the network configuration of an unpacked image, where the overlay could not.
 * @param mac of the card that the blade booted from
 */
export async function nameBootCard(directory: string, mac: string): Promise<void> {
  for (const file of [NETWORKD_FILE, IFUPDOWN_FILE]) {
    const path = join(directory, file);
    const text = await readIfThere(path);
    if (text?.includes(BOOT_CARD) === true) await writeFile(path, text.replaceAll(BOOT_CARD, mac));
  }
}
