import type { Command } from 'commander';
import { noun } from './command.ts';
import { checkCommand } from './fleet/check.ts';
import { schemaCommand } from './fleet/schema.ts';

export function fleetCommands(signal: AbortSignal): Command {
  return noun('fleet', 'the fleet folder as a whole', [checkCommand(signal), schemaCommand(signal)]);
}
