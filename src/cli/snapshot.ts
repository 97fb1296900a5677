import type { Command } from 'commander';
import { noun } from './command.ts';
import { diffCommand } from './snapshot/diff.ts';
import { exportCommand } from './snapshot/export.ts';
import { gcCommand } from './snapshot/gc.ts';
import { importCommand } from './snapshot/import.ts';
import { listCommand } from './snapshot/list.ts';
import { packCommand } from './snapshot/pack.ts';
import { removeCommand } from './snapshot/remove.ts';
import { repackCommand } from './snapshot/repack.ts';
import { showCommand } from './snapshot/show.ts';
import { tagCommand } from './snapshot/tag.ts';
import { unpackCommand } from './snapshot/unpack.ts';
import { verifyCommand } from './snapshot/verify.ts';

export function snapshotCommands(signal: AbortSignal): Command {
  return noun('snapshot', 'immutable, signed images of trees', [
    packCommand(signal),
    unpackCommand(signal),
    listCommand(signal),
    showCommand(signal),
    diffCommand(signal),
    tagCommand(signal),
    verifyCommand(signal),
    exportCommand(signal),
    importCommand(signal),
    repackCommand(signal),
    removeCommand(signal),
    gcCommand(signal),
  ]);
}
