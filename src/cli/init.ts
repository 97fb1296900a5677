import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { BladerootError } from '../errors.ts';
import { exampleFleet } from '../fleet/example.ts';
import { createKeys } from '../release/keys.ts';
import {
  newIdentity,
  readIdentities,
  RECOVERY_IDENTITY,
  writeIdentity,
  type Identity,
} from '../secrets/identity-file.ts';
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
    .option(
      '--recovery <file>',
      "where to write the fleet's recovery identity (keys/recovery.key of the state directory)",
    )
    .action(async (options: InitOptions, command: Command) => {
      const { stateDirectory, fleetDirectory, output } = contextOf(command, signal);
      const newKey = await createKeys(stateDirectory);
      await Store.open(join(stateDirectory, 'store'));
      const recovery = resolve(options.recovery ?? join(stateDirectory, RECOVERY_IDENTITY));
      const newFolder = await writeExample(fleetDirectory, options, recovery);
      const result = {
        state: stateDirectory,
        fleet: fleetDirectory,
        newKey,
        newFolder,
        ...(newFolder ? { recovery } : {}),
      };
      const lines = [
        newKey
          ? `made the fleet's key in ${stateDirectory}/keys`
          : `kept the fleet's key in ${stateDirectory}/keys`,
        ...(newFolder
          ? [
              `the fleet's recovery identity is ${recovery}: move it to where no machine can read it (a USB stick in a safe); whoever has it can read every secret, and without it no secret can be given to a new blade`,
              `wrote an example to ${fleetDirectory}/fleet.yaml`,
            ]
          : [`kept ${fleetDirectory}`]),
        'next: describe your blades there, then `bladeroot tree create`, `snapshot pack`, `release publish`, `serve`',
      ];
      output.result(result, lines.join('\n'));
    });
}

interface InitOptions {
  name: string;
  subnet: string;
  recovery?: string;
}

/**
 * Writes into an empty or new folder only; returns whether it did.
 * @param recovery the file of the recovery identity: made where there is none
 */
async function writeExample(
  directory: string,
  { name, subnet }: InitOptions,
  recovery: string,
): Promise<boolean> {
  const there = await namesIn(directory);
  if (there.includes('fleet.yaml')) return false;
  if (there.length > 0) {
    throw new BladerootError('NOT_EMPTY', `${directory} holds other things, and no fleet.yaml`, {
      hint: 'choose an empty directory with --fleet',
    });
  }
  // Before an identity is made for a fleet that could not be.
  exampleFleet(name, subnet);
  const { recipient } = await recoveryIdentity(recovery);
  for (const [path, text] of exampleFleet(name, subnet, recipient)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFileAtomic(join(directory, path), text);
  }
  return true;
}

/** Of an earlier try, or of a fleet before this one, where the file is there. */
async function recoveryIdentity(path: string): Promise<Identity> {
  const [there] = (await readIdentities(path)) ?? [];
  if (there !== undefined) return there;
  const made = await newIdentity();
  await writeIdentity(path, made);
  return made;
}
