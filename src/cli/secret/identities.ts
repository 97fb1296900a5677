/** Which private keys a command may decrypt with. */
import { join } from 'node:path';
import { BladerootError } from '../../errors.ts';
import { nameList } from '../../fleet/nearest.ts';
import {
  BLADE_IDENTITY,
  readIdentities,
  RECOVERY_IDENTITY,
  type Identity,
} from '../../secrets/identity-file.ts';
import { collect, type Context } from '../command.ts';
import type { Command } from 'commander';

export interface IdentityOptions {
  identity: string[];
}

export function withIdentity(command: Command): Command {
  return command.option(
    '--identity <file>',
    'an age identity that can read it; can be given again (BLADEROOT_IDENTITY, else keys/recovery.key and identity/age.key of the state directory)',
    collect,
    [],
  );
}

/**
 * The identities that are named, or else those that this machine has.
 * @throws BladerootError `NO_IDENTITY` for a file that is named and not there, `BAD_IDENTITY`, `IDENTITY_EXPOSED`
 */
export async function findIdentities(
  { stateDirectory }: Context,
  { identity }: IdentityOptions,
): Promise<Identity[]> {
  const fromEnvironment = process.env['BLADEROOT_IDENTITY'];
  const named = identity.length > 0 || fromEnvironment === undefined ? identity : [fromEnvironment];
  if (named.length === 0) {
    const usual = [RECOVERY_IDENTITY, BLADE_IDENTITY].map((path) => join(stateDirectory, path));
    return (await Promise.all(usual.map(readIdentities))).flatMap((found) => found ?? []);
  }
  const found: Identity[] = [];
  for (const path of named) {
    const identities = await readIdentities(path);
    if (identities === undefined) {
      throw new BladerootError('NO_IDENTITY', `there is no identity at ${path}`, {
        hint: 'it is the file that `bladeroot init` made and that is kept away from all machines',
      });
    }
    found.push(...identities);
  }
  return found;
}

/** As findIdentities, where it takes at least one. @throws BladerootError `NO_IDENTITY`, ... */
export async function requireIdentities(context: Context, options: IdentityOptions): Promise<Identity[]> {
  const found = await findIdentities(context, options);
  if (found.length > 0) return found;
  throw new BladerootError('NO_IDENTITY', 'there is no identity here that could read a secret', {
    hint: "bring the fleet's recovery identity and name it with --identity FILE",
  });
}

/** Some were encrypted anew, and others none of the identities can read. */
export function unreadableError(written: readonly string[], unreadable: readonly string[]): BladerootError {
  const others = written.length === 0 ? '' : ` (${written.length} others were encrypted anew)`;
  return new BladerootError(
    'SECRET_UNREADABLE',
    `no identity here can read ${nameList(unreadable, 5)}${others}`,
    {
      hint: "name the fleet's recovery identity, or that of a blade that has the overlay, with --identity FILE",
    },
  );
}
