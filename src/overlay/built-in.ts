/** The lowest layer: what every blade has, whatever its overlays say. Pure, but for a look at what the image has. */
import type { ResolvedBlade } from '../fleet/resolve.ts';
import type { ImageFiles } from '../image/files.ts';
import type { ServiceManager } from '../tree/services/service-manager.ts';
import { fileEntry, type BuiltIn, type OverlayEntry } from './entry.ts';
import { networkEntries } from './network.ts';

/** @throws BladerootError `NO_NETWORK_CONFIG` */
export async function builtIn(
  blade: ResolvedBlade,
  blades: readonly ResolvedBlade[],
  image: ImageFiles,
  services: ServiceManager,
): Promise<BuiltIn> {
  const network = await networkEntries(blade, image, services);
  return {
    entries: [
      fileEntry('etc/hostname', `${blade.name}\n`, 'built in: host name'),
      fileEntry('etc/hosts', hosts(blades), 'built in: hosts'),
      ...resolver(blade),
      ...machineId(services),
      ...network.entries,
    ],
    start: network.start,
  };
}

function hosts(blades: readonly ResolvedBlade[]): string {
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
 * Without /etc/machine-id, or with "uninitialized" in it, systemd takes a start for the first boot and enables whatever its
 * presets say, stopped services as well; all blades having the id of the image would be as wrong. An empty file makes it
 * write an id of the blade's own (machine-id(5), "First Boot Semantics").
 */
function machineId(services: ServiceManager): OverlayEntry[] {
  return services.name === 'systemd' ? [fileEntry('etc/machine-id', '', 'built in: machine id', 0o444)] : [];
}
