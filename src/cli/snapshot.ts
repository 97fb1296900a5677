import type { Command } from 'commander';
import { noun } from './command.ts';
import { listCommand } from './snapshot/list.ts';
import { packCommand } from './snapshot/pack.ts';
import { showCommand } from './snapshot/show.ts';
import { unpackCommand } from './snapshot/unpack.ts';

export function snapshotCommands(signal: AbortSignal): Command {
  return noun('snapshot', 'immutable, signed images of trees', [
    packCommand(signal),
    unpackCommand(signal),
    listCommand(signal),
    showCommand(signal),
  ]);
}
