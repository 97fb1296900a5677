import type { KeyObject } from 'node:crypto';
import { BladerootError, describeError } from '../errors.ts';
import type { MachineIdentity } from '../fleet/machine.ts';
import { fetchRelease } from '../release/fetch-release.ts';
import { identifyBlade } from '../release/identify.ts';
import { fetchPinned } from '../release/pin.ts';
import type { SignedRelease } from '../release/repository.ts';
import type { ReleaseBlade } from '../release/statement.ts';
import type { Source } from '../store/source.ts';

export interface FoundRelease {
  root: string;
  release: SignedRelease;
  blade: ReleaseBlade;
}

/** A release that is good, and knows nothing of this machine. */
export interface UnclaimedRelease {
  root: string;
  release: SignedRelease;
  blade: undefined;
}

/**
 * Asks the roots one after the other for the release; the first with one that the fleet's key has signed, and that
 * knows this machine, is it. If none knows it, the first with a good release is.
 * @throws BladerootError `NO_ROOT` that says of each root what was wrong
 */
export async function findRelease(
  roots: string[],
  publicKey: KeyObject,
  machine: MachineIdentity,
): Promise<FoundRelease | UnclaimedRelease> {
  const reasons: string[] = [];
  let unclaimed: UnclaimedRelease | undefined;
  for (const root of roots) {
    try {
      const release = await fetchRelease(root, publicKey);
      const blade = identifyBlade(release.statement.blades, machine);
      if (blade !== undefined) return { root, release, blade };
      unclaimed ??= { root, release, blade };
    } catch (error) {
      reasons.push(`${root}: ${describeError(error)}`);
    }
  }
  if (unclaimed !== undefined) return unclaimed;
  throw new BladerootError('NO_ROOT', `no root has a release for this machine: ${reasons.join('; ')}`);
}

/**
 * The release that a blade is to run: the one that was found, or the older one to which that pins it.
 * @throws BladerootError `SIGNATURE_INVALID`, and what fetching throws
 */
export async function releaseOf(
  { release, blade }: FoundRelease,
  source: Source,
  publicKey: KeyObject,
): Promise<SignedRelease> {
  return blade.pin === undefined ? release : await fetchPinned(source, blade.pin, publicKey);
}
