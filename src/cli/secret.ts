import type { Command } from 'commander';
import { noun } from './command.ts';
import { editSecretCommand } from './secret/edit.ts';
import { listSecretsCommand } from './secret/list.ts';
import { rekeyCommand } from './secret/rekey.ts';
import { setSecretCommand } from './secret/set.ts';
import { showSecretCommand } from './secret/show.ts';

export function secretCommands(signal: AbortSignal): Command {
  return noun('secret', 'files of overlays that only the blades they are for can read', [
    setSecretCommand(signal),
    showSecretCommand(signal),
    editSecretCommand(signal),
    rekeyCommand(signal),
    listSecretsCommand(signal),
  ]);
}
