/** The address of a blade that is told none, and its network. */
import { networkInterfaces } from 'node:os';
import { BladerootError } from '../../errors.ts';
import { freeAddress } from '../../fleet/free-address.ts';
import { didYouMean, nameList } from '../../fleet/nearest.ts';
import { networksOf } from '../../fleet/resolve.ts';
import type { Fleet, Network } from '../../fleet/schema.ts';
import { inSubnet, parseSubnet } from '../../net/ipv4.ts';

/** @throws BladerootError `NO_FREE_ADDRESS` */
export function nextAddress({ blades, network: main }: Fleet, network: Network = main): string {
  const own = Object.values(networkInterfaces()).flatMap((all) =>
    (all ?? []).filter(({ family }) => family === 'IPv4'),
  );
  const address = freeAddress(
    network,
    Object.values(blades).map((blade) => blade.address),
    own.map((one) => one.address),
  );
  if (address !== undefined) return address;
  throw new BladerootError('NO_FREE_ADDRESS', `all addresses of ${network.subnet} are taken`, {
    hint: 'give one with --address, or make the subnet or its pool of another size in fleet.yaml',
  });
}

/**
 * The network by that name (`main` is the one that fleet.yaml has as `network`), else the one that the machine was seen in,
 * else the main one.
 * @throws BladerootError `UNKNOWN_NETWORK`
 */
export function networkFor(fleet: Fleet, wanted: string | undefined, seenAt: string | undefined): Network {
  const networks = networksOf(fleet);
  if (wanted === undefined) {
    const there = networks.find(
      ([, { subnet }]) => seenAt !== undefined && inSubnet(seenAt, parseSubnet(subnet)),
    );
    return there?.[1] ?? fleet.network;
  }
  const found = networks.find(([name]) => name === wanted)?.[1];
  if (found !== undefined) return found;
  const names = networks.map(([name]) => name);
  throw new BladerootError('UNKNOWN_NETWORK', `there is no network ${wanted}${didYouMean(wanted, names)}`, {
    hint: `there are: ${nameList(names)}`,
  });
}
