/** Who gets which address and boots what: the release's blades, and no one else. */
import { planBootFile } from '../boot/plan.ts';
import type { BladerootEvent } from '../events/catalogue.ts';
import type { ReleaseBlade } from '../release/statement.ts';
import { scriptUrl } from '../serve/boot-http.ts';
import type { DhcpClient, DhcpOffer } from '../serve/dhcp-answer.ts';
import type { DhcpEvent } from '../serve/dhcp.ts';

/** Blades keep their address for good; an hour brings a changed router or resolver to them soon enough. */
const LEASE_SECONDS = 3600;

/** A blade's offer: its fixed address, and what its firmware is to load. Undefined for a machine that is no blade. */
export function offerTo(client: DhcpClient, blades: ReleaseBlade[], root: string): DhcpOffer | undefined {
  const blade = blades.find(({ mac }) => mac === client.mac);
  if (blade === undefined) return undefined;
  const { address, netmask, gateway, dns, domain, name } = blade;
  const file = planBootFile(client);
  return {
    address,
    subnetMask: netmask,
    dns,
    hostName: name,
    leaseSeconds: LEASE_SECONDS,
    ...(gateway === undefined ? {} : { router: gateway }),
    ...(domain === undefined ? {} : { domainName: domain }),
    ...(file.kind === 'script' ? { bootFile: scriptUrl(root, name) } : {}),
    ...(file.kind === 'loader' ? { bootFile: file.name } : {}),
    ...(file.kind === 'url' ? { bootFile: `${root}${file.path}` } : {}),
  };
}

/** What the DHCP server tells, as an event of the fleet; undefined for what is no machine's doing. */
export function dhcpEvent(event: DhcpEvent, blades: ReleaseBlade[]): BladerootEvent | undefined {
  if (event.type === 'dhcp.malformed' || event.type === 'dhcp.failed') return undefined;
  const blade = blades.find(({ mac }) => mac === event.mac)?.name;
  const message = 'address' in event ? event.address : 'reason' in event ? event.reason : undefined;
  return {
    type: event.type,
    mac: event.mac,
    ...(blade === undefined ? {} : { blade }),
    ...(message === undefined ? {} : { message }),
  };
}
