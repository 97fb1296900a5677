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
 * says hello, so that the root knows its MAC from then on; where another machine is that blade already, it waits, as a
 * machine does that is no blade, until it is one. All of them then get the blade's own address.
 */
export async function claim(
  asked: FoundRelease | UnclaimedRelease,
  { machine, roots, publicKey, reporter, show }: ClaimOptions,
): Promise<FoundRelease> {
  const { root, release, blade } = asked;
  if (blade?.mac !== undefined) return { root, release, blade };
  const isThis = blade !== undefined && (await isAccepted(root, machine, reporter));
  const found = isThis
    ? { root, release, blade }
    : await awaitAdoption({
        machine,
        unclaimed: { root, release, blade: undefined },
        roots,
        publicKey,
        show,
      });
  const address = await renewAddress();
  if (address !== undefined) reporter.say(`the address is ${address} now`);
  return found;
}

/** Whether the root lets it be the blade that it is by serial number or GUID. */
async function isAccepted(root: string, machine: Machine, reporter: Reporter): Promise<boolean> {
  try {
    return (await sayHello(root, machine)).refused === undefined;
  } catch (error) {
    // It can be installed all the same, with the address that it has.
    reporter.say(`the root did not hear who this is: ${describeError(error)}`);
    return true;
  }
}
