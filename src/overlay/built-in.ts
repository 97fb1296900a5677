/** The lowest layer: what every blade has by what its image is, until its overlays say otherwise. */
import type { ResolvedBlade } from '../fleet/resolve.ts';
import { followLinks, type ImageFiles } from '../image/files.ts';
import { detectServiceManager } from '../tree/services/detect.ts';
import { fileEntry, type BuiltIn, type OverlayEntry } from './entry.ts';
import { authorizedKeys, rootPassword } from './root-login.ts';
import { timeZone } from './time-zone.ts';
import { networkEntries, networkOf, type NetworkConfig } from './network.ts';

/** What is built in for the blades of a fleet: the image is looked at once. */
export class BuiltIns {
  readonly #image: ImageFiles;
  readonly #network: NetworkConfig;
  /** What all blades have alike. */
  readonly #shared: readonly OverlayEntry[];

  private constructor(image: ImageFiles, network: NetworkConfig, shared: readonly OverlayEntry[]) {
    this.#image = image;
    this.#network = network;
    this.#shared = shared;
  }

  /** @throws BladerootError `NO_SERVICE_MANAGER`, `NO_NETWORK_CONFIG` */
  static async of(image: ImageFiles, blades: readonly ResolvedBlade[]): Promise<BuiltIns> {
    const services = await detectServiceManager(image);
    const shared = [
      fileEntry('etc/hosts', hosts(blades), 'built in: hosts'),
      ...(await noUpgradesByApt(image)),
      ...(services.name === 'systemd' ? [MACHINE_ID] : []),
    ];
    return new BuiltIns(image, await networkOf(image, services), shared);
  }

  /** @throws BladerootError `UNKNOWN_TIME_ZONE`, `NO_SHADOW` */
  async for(blade: ResolvedBlade): Promise<BuiltIn> {
    const network = networkEntries(blade, this.#network);
    return {
      entries: [
        fileEntry('etc/hostname', `${blade.name}\n`, 'built in: host name'),
        ...this.#shared,
        ...resolver(blade),
        ...(await timeZone(blade, this.#image)),
        ...authorizedKeys(blade),
        ...(await rootPassword(blade, this.#image)),
        ...network.entries,
      ],
      start: network.start,
    };
  }
}

/** What of all blades is built into each. */
export function hosts(blades: readonly ResolvedBlade[]): string {
  const lines = blades.map(({ name, address, domain }) =>
    domain === undefined ? `${address}\t${name}` : `${address}\t${name}.${domain} ${name}`,
  );
  return `${['127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback', ...lines].join('\n')}\n`;
}

/**
 * A plain file, in the place of a link to systemd-resolved's stub as well: resolved takes its servers from such a file
 * (systemd-resolved.service(8), "/etc/resolv.conf"), so that names are found whether it runs or not.
 */
function resolver({ dns, domain }: ResolvedBlade): OverlayEntry[] {
  if (dns.length === 0) return [];
  const lines = [
    ...(domain === undefined ? [] : [`search ${domain}`]),
    ...dns.map((server) => `nameserver ${server}`),
  ];
  return [fileEntry('etc/resolv.conf', `${lines.join('\n')}\n`, 'built in: resolver')];
}

/**
 * Debian's timers and cron jobs fetch package lists and, with unattended-upgrades, upgrade each blade by itself; blades
 * change with the image. The script behind all of them asks for this first (apt.systemd.daily, `APT::Periodic::Enable`).
 */
async function noUpgradesByApt(image: ImageFiles): Promise<OverlayEntry[]> {
  const directory = await followLinks(image, 'etc/apt/apt.conf.d');
  if (directory === undefined) return [];
  const text = '// Blades are upgraded with their image.\nAPT::Periodic::Enable "0";\n';
  return [fileEntry(`${directory}/99bladeroot`, text, 'built in: apt')];
}

/**
 * Without /etc/machine-id, or with "uninitialized" in it, systemd takes a start for the first boot and enables whatever its
 * presets say, stopped services as well; all blades having the id of the image would be as wrong. An empty file makes it
 * write an id of the blade's own (machine-id(5), "First Boot Semantics").
 */
const MACHINE_ID = fileEntry('etc/machine-id', '', 'built in: machine id', 0o444);
