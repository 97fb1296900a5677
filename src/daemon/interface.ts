/** Which interfaces a root answers on. */
import { networkInterfaces } from 'node:os';
import { BladerootError } from '../errors.ts';
import { inSubnet } from '../net/ipv4.ts';
import type { ReleaseStatement } from '../release/statement.ts';
import { fleetNetworks, networkAt, type FleetNetwork } from './fleet-networks.ts';

export interface ServeInterface {
  name: string;
  /** The interface's IPv4 addresses in the fleet's networks. */
  addresses: [string, ...string[]];
  /** The networks that they stand in. */
  networks: FleetNetwork[];
}

/**
 * The interfaces of those names with their addresses in the fleet's networks; without names, all that have such an address.
 * @throws BladerootError `NO_BLADES`, `NO_INTERFACE`, `INTERFACE_ADDRESS`, `INTERFACE_UNCLEAR`
 */
export function chooseInterfaces(names: readonly string[], release: ReleaseStatement): ServeInterface[] {
  const interfaces = networkInterfaces();
  const { networks } = fleetNetworks(release);
  if (release.blades.length === 0 && !networks.some(({ mode, pool }) => mode === 'proxy' || pool)) {
    const message = `release ${release.sequence} is for no blades: there is nothing to serve`;
    const hint =
      'describe your blades in fleet.yaml, or a pool for machines that are none yet, and publish again';
    throw new BladerootError('NO_BLADES', message, { hint });
  }
  for (const name of names) {
    if (interfaces[name] !== undefined) continue;
    throw new BladerootError('NO_INTERFACE', `there is no network interface ${name} with an address`, {
      hint: `there are: ${Object.keys(interfaces).join(', ')}`,
    });
  }
  const found = Object.entries(interfaces)
    .filter(([name]) => names.length === 0 || names.includes(name))
    .flatMap(([name, addresses = []]) => serveInterface(name, addresses, networks));
  const missing = names.find((name) => !found.some((one) => one.name === name));
  if (missing !== undefined || found.length === 0) throw noAddress(missing, networks);
  if (names.length === 0) checkClear(found);
  return found;
}

function serveInterface(
  name: string,
  addresses: { family: string; address: string }[],
  networks: FleetNetwork[],
): ServeInterface[] {
  const [first, ...others] = addresses
    .filter(({ family, address }) => family === 'IPv4' && networkAt(networks, address) !== undefined)
    .map(({ address }) => address);
  if (first === undefined) return [];
  const all: [string, ...string[]] = [first, ...others];
  return [
    {
      name,
      addresses: all,
      networks: networks.filter(({ range }) => all.some((address) => inSubnet(address, range))),
    },
  ];
}

function noAddress(name: string | undefined, networks: FleetNetwork[]): BladerootError {
  const subject = name === undefined ? 'no interface has an address' : `interface ${name} has no address`;
  const subnets = networks.map(({ subnet }) => subnet).join(', ');
  const where = networks.length === 1 ? "the fleet's subnet" : "one of the fleet's subnets";
  return new BladerootError('INTERFACE_ADDRESS', `${subject} in ${where} (${subnets})`, {
    hint: 'give it one there, or mend `network.subnet` in fleet.yaml and publish again',
  });
}

/** Two interfaces in one network may be two ends of one wire, and both would answer on it. */
function checkClear(found: ServeInterface[]): void {
  for (const network of found.flatMap(({ networks }) => networks)) {
    const names = found.filter((one) => one.networks.includes(network)).map(({ name }) => name);
    if (names.length < 2) continue;
    const message = `several interfaces are in the fleet's subnet ${network.subnet}: ${names.sort().join(', ')}`;
    throw new BladerootError('INTERFACE_UNCLEAR', message, { hint: 'say which one with --interface' });
  }
}
