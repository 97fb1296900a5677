import type { Command } from 'commander';
import { decryptWith } from '../../secrets/age.ts';
import { contextOf, leaf } from '../command.ts';
import { findSecret } from './change.ts';
import { requireIdentities, withIdentity, type IdentityOptions } from './identities.ts';

export function showSecretCommand(signal: AbortSignal): Command {
  const command = leaf('show', 'decrypt a secret and print it, byte for byte', [
    'bladeroot secret show web /etc/ssl/private/web.key --identity /media/usb/recovery.key',
  ])
    .argument('<overlay>', 'the overlay')
    .argument('<path>', 'where the file is on the blade');
  return withIdentity(command).action(
    async (overlay: string, path: string, options: IdentityOptions, self: Command) => {
      const context = contextOf(self, signal);
      const { ciphertext, file } = await findSecret(context.fleetDirectory, overlay, path);
      const identities = await requireIdentities(context, options);
      const keys = identities.map(({ secret }) => secret);
      context.output.raw(await decryptWith(ciphertext, keys, file));
    },
  );
}
