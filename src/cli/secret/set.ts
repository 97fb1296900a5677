import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import type { Command } from 'commander';
import { BladerootError } from '../../errors.ts';
import { secretFile, secretPath } from '../../secrets/folder.ts';
import { contextOf, leaf } from '../command.ts';
import { changingSecrets, describeReaders, putSecret, requireOverlay } from './change.ts';

export function setSecretCommand(signal: AbortSignal): Command {
  return leaf('set', 'encrypt what comes on stdin, or a file, for the blades that have the overlay', [
    'bladeroot secret set web /etc/ssl/private/web.key < web.key',
    'bladeroot secret set web /etc/ssl/private/web.key --from web.key',
    'pwgen 30 1 | bladeroot secret set db /etc/db/password',
  ])
    .argument('<overlay>', 'the overlay: a folder of overlays/')
    .argument('<path>', 'where the file is to be on the blade')
    .option('--from <file>', 'the file with it, instead of stdin')
    .action(async (overlay: string, path: string, { from }: { from?: string }, command: Command) => {
      const context = contextOf(command, signal);
      const { fleetDirectory, output } = context;
      const file = secretFile(overlay, path);
      await requireOverlay(fleetDirectory, overlay);
      if (from === undefined && process.stdin.isTTY)
        output.step('type the secret, then Ctrl-D at the start of a line');
      const clear = from === undefined ? await buffer(process.stdin) : await readFile(from);
      if (clear.length === 0) {
        throw new BladerootError('SECRET_EMPTY', 'there is nothing in it', {
          hint: 'give the secret on stdin, or with --from FILE; it is never an argument, which `ps` would show',
        });
      }
      const readers = await changingSecrets(
        context,
        async (fleet) => await putSecret(context, fleet, { overlay, path: secretPath(path), clear }),
      );
      output.result(
        { file, blades: [...readers.blades.keys()], waiting: readers.waiting },
        `${file} ${describeReaders(readers)}`,
      );
    });
}
