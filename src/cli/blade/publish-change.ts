/** Publishes the snapshot that the fleet runs again, with what has changed in the fleet folder. */
import { BladerootError, errorCode } from '../../errors.ts';
import type { Fleet } from '../../fleet/schema.ts';
import { readPublicKey } from '../../release/keys.ts';
import { ReleaseRepository } from '../../release/repository.ts';
import type { SigningKey } from '../../release/signing-key.ts';
import type { Context } from '../command.ts';
import { publishFrom } from '../release.ts';
import { openSigningKey, type SigningOptions } from '../signing.ts';
import { locked, openStore } from '../store.ts';

/** What publishing takes: to be there before anything is written. */
export interface Publishable {
  key: SigningKey;
  /** Its id. */
  snapshot: string;
}

/** Undefined where nothing is to be published. @throws BladerootError `NO_KEY`, `NO_RELEASE` */
export async function findPublishable(
  context: Context,
  options: SigningOptions & { publish: boolean },
): Promise<Publishable | undefined> {
  if (!options.publish) return undefined;
  const key = await keyOf(context, options);
  return { key, snapshot: await currentSnapshot(context.stateDirectory) };
}

/** @returns the number of the release, the old one where nothing has changed */
export async function publishChange(
  context: Context,
  { key, ...options }: Publishable & { message: string },
  fleet: Fleet,
): Promise<number> {
  const store = await openStore(context);
  const { release } = await locked(context, store, 'shared', () =>
    publishFrom(context, { store, key, fleet }, options),
  );
  return release.statement.sequence;
}

async function keyOf(context: Context, options: SigningOptions): Promise<SigningKey> {
  try {
    return await openSigningKey(context, options);
  } catch (error) {
    if (errorCode(error) !== 'NO_KEY') throw error;
    throw new BladerootError(
      'NO_KEY',
      `a release needs the fleet's key, which is not in ${context.stateDirectory}/keys`,
      {
        hint: 'bring it here, name it with --key or --sign-with, or write fleet.yaml alone with --no-publish',
        cause: error,
      },
    );
  }
}

/** The id of the snapshot that the fleet runs: a name changes nothing about it. @throws BladerootError `NO_RELEASE` */
async function currentSnapshot(stateDirectory: string): Promise<string> {
  const release = await new ReleaseRepository(stateDirectory, await readPublicKey(stateDirectory)).current();
  if (release !== undefined) return release.statement.snapshot.id;
  throw new BladerootError('NO_RELEASE', 'there is no release whose snapshot the blade could get', {
    hint: 'use --no-publish, then `bladeroot release publish`',
  });
}
