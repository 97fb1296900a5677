/** Which interface a root answers on. */
import { networkInterfaces } from 'node:os';
import ipaddr from 'ipaddr.js';
import { BladerootError } from '../errors.ts';
import type { ReleaseStatement } from '../release/statement.ts';

export interface ServeInterface {
  name: string;
  /** The interface's IPv4 address in the fleet's subnet. */
  address: string;
}

/**
 * The interface of that name with its address in the fleet's subnet; without a name, the one interface that has such
 * an address.
 * @throws BladerootError `NO_BLADES`, `NO_INTERFACE`, `INTERFACE_ADDRESS`, `INTERFACE_UNCLEAR`
 */
export function chooseInterface(name: string | undefined, release: ReleaseStatement): ServeInterface {
  const interfaces = networkInterfaces();
  if (release.blades.length === 0) {
    throw new BladerootError(
      'NO_BLADES',
      `release ${release.sequence} is for no blades: there is nothing to serve`,
      {
        hint: 'describe your blades in fleet.yaml and publish again',
      },
    );
  }
  if (name !== undefined && interfaces[name] === undefined) {
    throw new BladerootError('NO_INTERFACE', `there is no network interface ${name} with an address`, {
      hint: `there are: ${Object.keys(interfaces).join(', ')}`,
    });
  }
  const subnets = release.blades.map((blade) => subnetOf(blade.address, blade.netmask));
  const found = Object.entries(interfaces)
    .filter(([candidate]) => name === undefined || candidate === name)
    .flatMap(([candidate, addresses]) =>
      (addresses ?? [])
        .filter(
          ({ family, address }) => family === 'IPv4' && subnets.some((subnet) => contains(subnet, address)),
        )
        .map(({ address }) => ({ name: candidate, address })),
    );
  const [first] = found;
  const wanted = [...new Set(subnets.map(([address, bits]) => `${address.toString()}/${bits}`))].join(', ');
  if (first === undefined) {
    const subject = name === undefined ? 'no interface has an address' : `interface ${name} has no address`;
    throw new BladerootError('INTERFACE_ADDRESS', `${subject} in the fleet's subnet (${wanted})`, {
      hint: 'give it one there, or mend `network.subnet` in fleet.yaml and publish again',
    });
  }
  if (found.some((other) => other.name !== first.name)) {
    const names = [...new Set(found.map((candidate) => candidate.name))].sort().join(', ');
    throw new BladerootError('INTERFACE_UNCLEAR', `several interfaces are in the fleet's subnet: ${names}`, {
      hint: 'say which one with --interface',
    });
  }
  return first;
}

type Subnet = [ipaddr.IPv4, number];

function subnetOf(address: string, netmask: string): Subnet {
  const bits = ipaddr.IPv4.parse(netmask).prefixLengthFromSubnetMask() ?? 32;
  return [ipaddr.IPv4.networkAddressFromCIDR(`${address}/${bits}`), bits];
}

function contains(subnet: Subnet, address: string): boolean {
  return ipaddr.IPv4.parse(address).match(subnet);
}
