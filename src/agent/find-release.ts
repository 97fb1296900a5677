import type { KeyObject } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import { BladerootError, describeError } from '../errors.ts';
import { openRelease } from '../release/repository.ts';
import type { SignedRelease } from '../release/repository.ts';
import type { ReleaseBlade } from '../release/statement.ts';

const ANSWER_TIMEOUT_MS = 10_000;

export interface FoundRelease {
  root: string;
  release: SignedRelease;
  blade: ReleaseBlade;
}

/**
 * Asks the roots one after the other for the release; the first with one that the fleet's key has signed, and that
 * knows this machine, is it.
 * @throws BladerootError `NO_ROOT` that says of each root what was wrong
 */
export async function findRelease(roots: string[], publicKey: KeyObject): Promise<FoundRelease> {
  const reasons: string[] = [];
  for (const root of roots) {
    try {
      const response = await fetch(`${root}/releases/current`, {
        signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
      });
      if (!response.ok) throw new Error(`it answers ${response.status}`);
      const release = openRelease(
        new Uint8Array(await response.arrayBuffer()),
        publicKey,
        `the release of ${root}`,
      );
      return { root, release, blade: identify(release) };
    } catch (error) {
      reasons.push(`${root}: ${describeError(error)}`);
    }
  }
  throw new BladerootError('NO_ROOT', `no root has a release for this machine: ${reasons.join('; ')}`);
}

/** The blade that this machine is, by the MAC addresses of its NICs. */
function identify({ statement }: SignedRelease): ReleaseBlade {
  const macs = Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).map(({ mac }) => mac),
  );
  const blade = statement.blades.find(({ mac }) => macs.includes(mac));
  if (blade !== undefined) return blade;
  const own = [...new Set(macs)].filter((mac) => mac !== '00:00:00:00:00:00');
  throw new BladerootError(
    'UNKNOWN_BLADE',
    `release ${statement.sequence} has no blade with ${own.join(' or ')}`,
    {
      hint: 'add the machine to fleet.yaml and publish',
    },
  );
}
