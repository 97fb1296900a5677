import { BladerootError } from '../../errors.ts';
import { nameList } from '../../fleet/nearest.ts';
import type { Fleet } from '../../fleet/schema.ts';
import { rekey, unreadSecrets } from '../../secrets/rekey.ts';
import { findIdentities, unreadableError, type IdentityOptions } from '../secret/identities.ts';
import type { Context } from '../command.ts';

/** Where nothing has to be encrypted anew. */
export async function rekeyNothing(): Promise<string[]> {
  return [];
}

/**
 * Looks what has to be encrypted anew when the fleet is this one, before anything is written.
 * @returns does it, once the fleet is written, and says which files it has written
 * @throws BladerootError `NO_IDENTITY` when something has to be before it can be published, and nothing here could read it
 */
export async function prepareRekey(
  context: Context,
  fleet: Fleet,
  options: IdentityOptions & { publish: boolean },
): Promise<() => Promise<string[]>> {
  const { fleetDirectory } = context;
  const unread = await unreadSecrets(fleetDirectory, fleet);
  if (unread.length === 0) return rekeyNothing;
  const identities = await findIdentities(context, options);
  if (identities.length === 0 && !options.publish) {
    context.output.step(
      'its secrets are not encrypted for it yet: `bladeroot secret rekey`, before the next release',
    );
    return rekeyNothing;
  }
  if (identities.length === 0) {
    const files = nameList(
      unread.map(({ file }) => file),
      3,
    );
    throw new BladerootError(
      'NO_IDENTITY',
      `secrets have to be encrypted for it, and nothing here can read them: ${files}`,
      {
        hint: "name the fleet's recovery identity with --identity FILE, or rekey and publish later (--no-publish)",
      },
    );
  }
  return async () => {
    const { written, unreadable } = await rekey({ fleetDirectory, fleet, identities });
    if (unreadable.length > 0) throw unreadableError(written, unreadable);
    return written;
  };
}
