import { writeFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { BladerootError } from '../errors.ts';
import type { ResolvedBlade } from '../fleet/resolve.ts';
import { followLinks, type ImageFiles } from '../image/files.ts';
import type { ServiceManager } from '../tree/services/service-manager.ts';
import { readIfThere } from '../system/read-file.ts';
import { editEntry, fileEntry, type BuiltIn } from './entry.ts';

const ORIGIN = 'built in: network';

/** Files that name the card. */
const NETWORKD_FILE = 'etc/systemd/network/10-bladeroot.network';
const NETWORK_MANAGER_FILE = 'etc/NetworkManager/system-connections/bladeroot.nmconnection';
const IFUPDOWN_FILE = 'etc/network/interfaces';
const CARD_RULES_FILE = 'etc/udev/rules.d/70-bladeroot-net.rules';

/** Instead of the MAC of a blade that fleet.yaml names by serial number or GUID: only on the blade it is known. */
const BOOT_CARD = '@card that it booted from@';

/** What an image configures its network with. */
export type NetworkConfig =
  | { by: 'systemd-networkd'; waitOnline: string | undefined }
  | { by: 'NetworkManager' | 'ifupdown' | 'netifrc' };

/**
 * What an image configures its network with. NetworkManager takes every card that nobody has told it about: where it
 * starts in the image, it is the one. Else the first counts that is installed.
 * @throws BladerootError `NO_NETWORK_CONFIG`
 */
export async function networkOf(image: ImageFiles, services: ServiceManager): Promise<NetworkConfig> {
  const networkd = services.name === 'systemd' ? await firstOf(image, NETWORKD) : undefined;
  const manager = await firstOf(image, NETWORK_MANAGER);
  if (manager !== undefined && (await starts(services, 'NetworkManager'))) {
    if (networkd === undefined || !(await starts(services, 'systemd-networkd')))
      return { by: 'NetworkManager' };
  }
  if (networkd !== undefined) {
    const waitOnline = `${networkd}-wait-online`;
    const there = await image.stat(waitOnline);
    return { by: 'systemd-networkd', waitOnline: there === undefined ? undefined : waitOnline };
  }
  const ifup = await firstOf(image, IFUP);
  // The ifup of busybox is a link to it, and knows no MAC addresses.
  if (ifup !== undefined && posix.basename(ifup) === 'ifup') return { by: 'ifupdown' };
  if (services.name === 'openrc' && (await image.stat(NETIFRC)) !== undefined) return { by: 'netifrc' };
  if (manager !== undefined) return { by: 'NetworkManager' };
  throw new BladerootError(
    'NO_NETWORK_CONFIG',
    'the image has nothing that configures its network that bladeroot knows',
    {
      hint: 'install systemd-networkd, NetworkManager, ifupdown or netifrc in the tree and pack it again',
    },
  );
}

/** Whether a service starts at boot by what the image itself has. */
async function starts(services: ServiceManager, service: string): Promise<boolean> {
  if (!(await services.list()).includes(service)) return false;
  return (await services.start(service)).length === 0;
}

/** The fixed address of a blade. The card is known by its MAC address, as the kernel may name it in any way. */
export function networkEntries(blade: ResolvedBlade, config: NetworkConfig): BuiltIn {
  switch (config.by) {
    case 'systemd-networkd':
      return systemdNetworkd(blade, config.waitOnline);
    case 'NetworkManager':
      return networkManager(blade);
    case 'ifupdown':
      return ifupdown(blade);
    case 'netifrc':
      return netifrc(blade);
  }
}

const NETWORKD = ['usr/lib/systemd/systemd-networkd', 'lib/systemd/systemd-networkd'];
const NETWORK_MANAGER = ['usr/sbin/NetworkManager', 'usr/bin/NetworkManager'];
const IFUP = ['usr/sbin/ifup', 'sbin/ifup'];
/** The script that those of all cards are links to. */
const NETIFRC = 'etc/init.d/net.lo';

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
    // After a boot from the network the card has the address already: the kernel is the one that fetched the image.
    '    pre-up ip -4 address flush dev $IFACE',
    `    address ${blade.address}/${blade.prefixLength}`,
    ...(blade.gateway === undefined ? [] : [`    gateway ${blade.gateway}`]),
  ];
  return {
    entries: [fileEntry(IFUPDOWN_FILE, `${lines.join('\n')}\n`, ORIGIN)],
    start: ['networking'],
  };
}

/** nm-settings-keyfile(5); a file that others than root may read is ignored. */
function networkManager(blade: ResolvedBlade): BuiltIn {
  const { address, prefixLength, gateway, dns, domain } = blade;
  const lines = [
    '[connection]',
    'id=bladeroot',
    'type=ethernet',
    // Before what NetworkManager makes up for cards that nobody configured.
    'autoconnect-priority=100',
    '',
    '[ethernet]',
    `mac-address=${blade.mac ?? BOOT_CARD}`,
    '',
    '[ipv4]',
    'method=manual',
    `address1=${address}/${prefixLength}${gateway === undefined ? '' : `,${gateway}`}`,
    ...(dns.length === 0 ? [] : [`dns=${dns.join(';')};`]),
    ...(domain === undefined ? [] : [`dns-search=${domain};`]),
    '',
    '[ipv6]',
    'method=auto',
  ];
  return {
    entries: [fileEntry(NETWORK_MANAGER_FILE, `${lines.join('\n')}\n`, ORIGIN, 0o600)],
    start: ['NetworkManager'],
  };
}

/** What netifrc knows the card by: it takes names only, so that udev gives the card one. */
const CARD = 'lan0';

/** Gentoo's netifrc: /etc/conf.d/net, and a script for the card that is a link to net.lo. */
function netifrc(blade: ResolvedBlade): BuiltIn {
  const rule = [
    'SUBSYSTEM=="net", ACTION=="add"',
    // Bridges and VLANs on the card have its MAC address, and no driver.
    'DRIVERS=="?*"',
    `ATTR{address}=="${blade.mac ?? BOOT_CARD}"`,
    `NAME="${CARD}"`,
  ];
  const lines = [
    `config_${CARD}="${blade.address}/${blade.prefixLength}"`,
    ...(blade.gateway === undefined ? [] : [`routes_${CARD}="default via ${blade.gateway}"`]),
  ];
  return {
    entries: [
      fileEntry(CARD_RULES_FILE, `${rule.join(', ')}\n`, ORIGIN),
      fileEntry('etc/conf.d/net', `${lines.join('\n')}\n`, ORIGIN),
      editEntry({ type: 'symlink', path: `etc/init.d/net.${CARD}`, target: 'net.lo' }, ORIGIN),
    ],
    start: [`net.${CARD}`],
  };
}

/** Whether a file of the overlay is one in which the blade names its card. */
export function namesBootCard(text: string): boolean {
  return text.includes(BOOT_CARD);
}

/**
 * Names the card in the network configuration of an unpacked image, where the overlay could not.
 * @param mac of the card that the blade booted from
 */
export async function nameBootCard(directory: string, mac: string): Promise<void> {
  for (const file of [NETWORKD_FILE, NETWORK_MANAGER_FILE, IFUPDOWN_FILE, CARD_RULES_FILE]) {
    const path = join(directory, file);
    const text = await readIfThere(path);
    if (text?.includes(BOOT_CARD) === true) await writeFile(path, text.replaceAll(BOOT_CARD, mac));
  }
}
