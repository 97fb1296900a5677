/** The address of a blade that is told none. */
import { networkInterfaces } from 'node:os';
import { BladerootError } from '../../errors.ts';
import { freeAddress } from '../../fleet/free-address.ts';
import type { Fleet } from '../../fleet/schema.ts';

/** @throws BladerootError `NO_FREE_ADDRESS` */
export function nextAddress({ network, blades }: Fleet): string {
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
