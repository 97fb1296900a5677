/** Asks all roots that a blade knows what the fleet is to run. */
import type { KeyObject } from 'node:crypto';
import { BladerootError, describeError } from '../errors.ts';
import { fetchRelease } from '../release/fetch-release.ts';
import type { SignedRelease } from '../release/repository.ts';

export interface NewestRelease {
  release: SignedRelease;
  /** Base URLs of the roots that have answered, those that have this release first. */
  roots: string[];
}

/**
 * The newest release that any of the roots has, signed by the fleet's key.
 * @param groups base URLs; a group is asked when nobody in those before it has answered
 * @throws BladerootError `NO_ROOT` that says of each what was wrong
 */
export async function newestRelease(
  groups: readonly (readonly string[])[],
  publicKey: KeyObject,
  signal: AbortSignal,
): Promise<NewestRelease> {
  const reasons: string[] = [];
  for (const group of groups) {
    const answers = await Promise.all(
      group.map(async (root) => {
        try {
          return { root, release: await fetchRelease(root, publicKey, signal) };
        } catch (error) {
          signal.throwIfAborted();
          reasons.push(`${root}: ${describeError(error)}`);
          return undefined;
        }
      }),
    );
    const [first, ...others] = answers
      .filter((answer) => answer !== undefined)
      .toSorted((a, b) => b.release.statement.sequence - a.release.statement.sequence);
    if (first !== undefined) {
      return { release: first.release, roots: [first, ...others].map(({ root }) => root) };
    }
  }
  throw new BladerootError('NO_ROOT', `no root has a release: ${reasons.join('; ')}`);
}
