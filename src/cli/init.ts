import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { BladerootError } from '../errors.ts';
import { exampleFleet } from '../fleet/example.ts';
import { createKeys } from '../release/keys.ts';
import { Store } from '../store/store.ts';
import { writeFileAtomic } from '../system/write-file.ts';
import { contextOf, leaf } from './command.ts';
import { namesIn } from '../system/read-file.ts';

export function initCommand(signal: AbortSignal): Command {
  return leaf('init', "make the fleet's key, its store, and an example of a fleet folder", [
    'bladeroot init                                  # in /etc/bladeroot and /var/lib/bladeroot',
    'bladeroot init --name prod --subnet 10.1.0.0/22',
  ])
    .option('--name <name>', 'name of the fleet', 'fleet')
    .option('--subnet <cidr>', "the blades' subnet", '192.168.77.0/24')
    .action(async (options: { name: string; subnet: string }, command: Command) => {
      const { stateDirectory, fleetDirectory, output } = contextOf(command, signal);
      const newKey = await createKeys(stateDirectory);
      await Store.open(join(stateDirectory, 'store'));
      const newFolder = await writeExample(fleetDirectory, options.name, options.subnet);
      const result = { state: stateDirectory, fleet: fleetDirectory, newKey, newFolder };
      const lines = [
        newKey
          ? `made the fleet's key in ${stateDirectory}/keys`
          : `kept the fleet's key in ${stateDirectory}/keys`,
        newFolder ? `wrote an example to ${fleetDirectory}/fleet.yaml` : `kept ${fleetDirectory}`,
        'next: describe your blades there, then `bladeroot tree create`, `snapshot pack`, `release publish`, `serve`',
      ];
      output.result(result, lines.join('\n'));
    });
}

/** Writes into an empty or new folder only; returns whether it did. */
async function writeExample(directory: string, name: string, subnet: string): Promise<boolean> {
  const there = await namesIn(directory);
  if (there.includes('fleet.yaml')) return false;
  if (there.length > 0) {
    throw new BladerootError('NOT_EMPTY', `${directory} holds other things, and no fleet.yaml`, {
      hint: 'choose an empty directory with --fleet',
    });
  }
  for (const [path, text] of exampleFleet(name, subnet)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFileAtomic(join(directory, path), text);
  }
  return true;
}
