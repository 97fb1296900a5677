import type { Command } from 'commander';
import { noun } from './command.ts';
import { diffCommand } from './overlay/diff.ts';
import { listCommand } from './overlay/list.ts';
import { showCommand } from './overlay/show.ts';

export function overlayCommands(signal: AbortSignal): Command {
  return noun('overlay', 'what the configuration makes of the image, before a boot', [
    listCommand(signal),
    diffCommand(signal),
    showCommand(signal),
  ]);
}
