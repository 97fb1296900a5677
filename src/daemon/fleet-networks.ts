/** A release's networks and the addresses in them, looked up once for all packets of a storm. */
import { inSubnet, parseSubnet, type Subnet } from '../net/ipv4.ts';
import { releaseNetworks, type ReleaseNetwork, type ReleaseStatement } from '../release/statement.ts';

export interface FleetNetwork extends ReleaseNetwork {
  range: Subnet;
}

export interface FleetNetworks {
  networks: FleetNetwork[];
  /** Addresses that no pool lends: those of blades, routers and name servers. */
  reserved: Set<string>;
}

const known = new WeakMap<ReleaseStatement, FleetNetworks>();

export function fleetNetworks(release: ReleaseStatement): FleetNetworks {
  let found = known.get(release);
  if (found === undefined) {
    const networks = releaseNetworks(release);
    found = {
      networks: networks.map((network) => ({ ...network, range: parseSubnet(network.subnet) })),
      reserved: new Set([
        ...release.blades.map(({ address }) => address),
        ...networks.flatMap(({ gateway, dns }) => (gateway === undefined ? dns : [gateway, ...dns])),
      ]),
    };
    known.set(release, found);
  }
  return found;
}

/** The network whose subnet has the address. */
export function networkAt(networks: FleetNetwork[], address: string): FleetNetwork | undefined {
  return networks.find(({ range }) => inSubnet(address, range));
}
