import type { Command } from 'commander';
import { runsFromMemory, standByInMemory } from '../blade/in-memory.ts';
import { standBy } from '../blade/standby.ts';
import { HTTP_PORT } from '../daemon/root.ts';
import { contextOf, leaf } from './command.ts';

export function standbyCommand(signal: AbortSignal): Command {
  return leaf(
    'standby',
    "on a blade: make its disk bootable and report (the blade's own service runs this)",
    [
      'systemctl status bladeroot          # how it went; with OpenRC, /var/log/bladeroot.log says it',
      'bladeroot standby                   # once more, by hand',
    ],
  ).action(async (_options, command: Command) => {
    const { stateDirectory, output } = contextOf(command, signal);
    const stand = (await runsFromMemory()) ? standByInMemory : standBy;
    await stand({ stateDirectory, port: HTTP_PORT, signal, onStep: (step) => output.step(step) });
  });
}
