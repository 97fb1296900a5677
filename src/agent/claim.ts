/** From a release to the blade of it that this machine is, also where DHCP could not know it. */
import type { KeyObject } from 'node:crypto';
import { describeError } from '../errors.ts';
import type { Machine } from '../fleet/machine.ts';
import { awaitAdoption, sayHello } from './await-adoption.ts';
import type { FoundRelease, UnclaimedRelease } from './find-release.ts';
import { renewAddress } from './renew-address.ts';
import type { Reporter } from './reporter.ts';

export interface ClaimOptions {
  machine: Machine;
  roots: readonly string[];
  publicKey: KeyObject;
  reporter: Reporter;
  /** Shows a whole screen. */
  show(screen: string): void;
}

/**
 * A blade that is known by its MAC has had its address from the beginning. One that is known by its serial number or GUID
 * says hello, so that the root knows its MAC from then on; a machine that is no blade waits until it is one. Both then
 * get the blade's own address.
 */
export async function claim(
  asked: FoundRelease | UnclaimedRelease,
  { machine, roots, publicKey, reporter, show }: ClaimOptions,
): Promise<FoundRelease> {
  const { root, release, blade } = asked;
  if (blade?.mac !== undefined) return { root, release, blade };
  let found: FoundRelease;
  if (blade === undefined) {
    found = await awaitAdoption({ machine, unclaimed: { root, release, blade }, roots, publicKey, show });
  } else {
    found = { root, release, blade };
    await sayHello(root, machine).catch((error: unknown) =>
      // It can be installed all the same, with the address that it has.
      reporter.say(`the root did not hear who this is: ${describeError(error)}`),
    );
  }
  const address = await renewAddress();
  if (address !== undefined) reporter.say(`the address is ${address} now`);
  return found;
}
