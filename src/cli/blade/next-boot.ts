/** What blades are asked to do when they next boot from the network; and, on a blade, deploying it again at once. */
import { Option, type Command } from 'commander';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { BladerootError } from '../../errors.ts';
import { expandHosts, HOST_LIST_HELP } from '../../fleet/host-list.ts';
import { loadFleet } from '../../fleet/load.ts';
import { DATABASE, openDatabase } from '../../state/database.ts';
import { NextBoots, type BootTask } from '../../state/next-boots.ts';
import { contextOf, leaf, type Context } from '../command.ts';
import { updateHere } from './update.ts';

export function reinstallCommand(signal: AbortSignal): Command {
  return leaf(
    'reinstall',
    'on the root: deploy blades again at their next boot from the network, into new file systems; what is persistent stays',
    [
      'bladeroot blade reinstall web07',
      'bladeroot blade reinstall web07 --cancel    # it has not booted yet',
      'bladeroot blade reinstall --local           # on the blade: into the slot that is not running, now',
    ],
  )
    .argument('[blades...]', HOST_LIST_HELP)
    .option('--cancel', 'ask it of them no longer')
    .addOption(new Option('--local', 'this machine, which is a blade').conflicts('cancel'))
    .action(async (hosts: string[], options: { cancel?: true; local?: true }, command: Command) => {
      const context = contextOf(command, signal);
      if (options.local !== true) await askBlades(context, 'deploy', hosts, options.cancel === true);
      else if (hosts.length > 0)
        command.error('--local is for the machine that this runs on: name no blades');
      else await updateHere(context, true);
    });
}

export function rescueCommand(signal: AbortSignal): Command {
  return leaf(
    'rescue',
    "on the root: have blades boot into a rescue system once, with SSH for the fleet's keys; their disks are not touched",
    ['bladeroot blade rescue web07', 'bladeroot blade rescue web07 --cancel    # it has not booted yet'],
  )
    .argument('<blades...>', HOST_LIST_HELP)
    .option('--cancel', 'ask it of them no longer')
    .action(async (hosts: string[], options: { cancel?: true }, command: Command) => {
      await askBlades(contextOf(command, signal), 'rescue', hosts, options.cancel === true);
    });
}

const DOES: Record<BootTask, string> = {
  deploy: 'is deployed again when it next boots from the network',
  rescue: 'boots into the rescue system when it next boots from the network',
};

async function askBlades(context: Context, task: BootTask, hosts: string[], cancel: boolean): Promise<void> {
  const { stateDirectory, fleetDirectory, output } = context;
  if (hosts.length === 0) {
    throw new BladerootError('NO_BLADES', 'which blades?', {
      hint: 'name them, as in web07 or web[01-20]; --local is for the machine that this runs on',
    });
  }
  const names = expandHosts(hosts, await loadFleet(fleetDirectory));
  if (!existsSync(join(stateDirectory, DATABASE))) {
    throw new BladerootError('NOT_THE_ROOT', `no root has been at work in ${stateDirectory}`, {
      hint: 'run this where `bladeroot serve` runs, or name its state directory with --state',
    });
  }
  const database = openDatabase(stateDirectory);
  try {
    const asked = new NextBoots(database);
    const lines = names.map((name) => {
      if (!cancel) {
        asked.put(name, task, Date.now());
        return `${name} ${DOES[task]}`;
      }
      return asked.remove(name) ? `${name} boots as always` : `nothing was asked of ${name}`;
    });
    output.result({ task: cancel ? null : task, blades: names }, lines.join('\n'));
  } finally {
    database.close();
  }
}
