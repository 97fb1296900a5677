import type { Command } from 'commander';
import { bootAreas } from '../blade/boot-areas.ts';
import { runsFromMemory, standByInMemory } from '../blade/in-memory.ts';
import { runningSlot, standBy } from '../blade/standby.ts';
import { watchReleases } from '../blade/watch-releases.ts';
import { HTTP_PORT } from '../daemon/root.ts';
import { contextOf, leaf } from './command.ts';

export function standbyCommand(signal: AbortSignal): Command {
  return leaf(
    'standby',
    "on a blade: make its disk bootable, report, and bring its other slot to each new release (the blade's own service runs this)",
    [
      'systemctl status bladeroot          # how it went; with OpenRC, /var/log/bladeroot.log says it',
      'bladeroot standby                   # once more, by hand',
    ],
  ).action(async (_options, command: Command) => {
    const { stateDirectory, output } = contextOf(command, signal);
    const options = { stateDirectory, port: HTTP_PORT, signal, onStep: (step: string) => output.step(step) };
    if (await runsFromMemory()) {
      await standByInMemory(options);
      return;
    }
    await standBy(options);
    // As this process was started, with the options of Node that its launcher gives.
    const [node, program = ''] = process.argv;
    const update = [node ?? process.execPath, ...process.execArgv, program, 'blade', 'update'];
    await watchReleases({
      ...options,
      bootAreas: async () => await bootAreas(options.onStep),
      running: await runningSlot(),
      update: [...update, '--state', stateDirectory],
    });
  });
}
