import type { Command } from 'commander';
import { outdatedSecrets, rekey } from '../../secrets/rekey.ts';
import { contextOf, leaf } from '../command.ts';
import { changingSecrets } from './change.ts';
import { requireIdentities, unreadableError, withIdentity, type IdentityOptions } from './identities.ts';

interface RekeyOptions extends IdentityOptions {
  all?: true;
}

export function rekeyCommand(signal: AbortSignal): Command {
  const command = leaf('rekey', 'encrypt secrets anew whose readers have changed', [
    'bladeroot secret rekey --identity /media/usb/recovery.key',
    'bladeroot secret rekey --all      # after the recovery recipients have changed',
  ]).option('--all', 'those as well whose readers are as they should be');
  return withIdentity(command).action(async (options: RekeyOptions, self: Command) => {
    const context = contextOf(self, signal);
    const { fleetDirectory, output } = context;
    const { written, unreadable } = await changingSecrets(context, async (fleet) => {
      const all = options.all === true;
      if (!all && (await outdatedSecrets(fleetDirectory, fleet)).length === 0)
        return { written: [], unreadable: [] };
      const identities = await requireIdentities(context, options);
      return await rekey({ fleetDirectory, fleet, identities, all });
    });
    if (unreadable.length > 0) throw unreadableError(written, unreadable);
    const text =
      written.length === 0
        ? 'all secrets are encrypted to those who are to read them'
        : `encrypted anew: ${written.join(', ')}`;
    output.result({ files: written }, text);
  });
}
