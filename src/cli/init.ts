import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { BladerootError, errorCode } from '../errors.ts';
import { lockFolder, proposeEdit, writeProposal } from '../fleet/edit-folder.ts';
import { exampleFleet } from '../fleet/example.ts';
import { loadFleet } from '../fleet/load.ts';
import { keyId } from '../release/envelope.ts';
import {
  createKeys,
  readPublicKey,
  readPublicKeyFile,
  writePublicKey,
  type AskPassphrase,
} from '../release/keys.ts';
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
import { newPassphraseFrom } from './passphrase.ts';
import { namesIn } from '../system/read-file.ts';

export function initCommand(signal: AbortSignal): Command {
  return leaf('init', "make the fleet's key, its store, and an example of a fleet folder", [
    'bladeroot init                                  # in /etc/bladeroot and /var/lib/bladeroot',
    'bladeroot init --name prod --subnet 10.1.0.0/22 --passphrase',
  ])
    .option('--name <name>', 'name of the fleet', 'fleet')
    .option('--subnet <cidr>', "the blades' subnet", '192.168.77.0/24')
    .option('--passphrase', 'ask for a passphrase for the key, so that blades can carry it')
    .option('--passphrase-file <file>', 'whose first line is that passphrase')
    .option('--public-key <file>', 'the public half of a key that is kept elsewhere: none is made here')
    .option(
      '--recovery <file>',
      "where to write the fleet's recovery identity (keys/recovery.key of the state directory); a fleet that has none gets one",
    )
    .action(async (options: InitOptions, command: Command) => {
      const { stateDirectory, fleetDirectory, output } = contextOf(command, signal);
      const newKey = await provideKey(stateDirectory, options);
      await Store.open(join(stateDirectory, 'store'));
      const recovery = resolve(options.recovery ?? join(stateDirectory, RECOVERY_IDENTITY));
      const newFolder = await writeExample(fleetDirectory, options, recovery);
      const newRecovery =
        newFolder ||
        (options.recovery !== undefined && (await addRecovery(fleetDirectory, recovery, signal)));
      const result = {
        state: stateDirectory,
        fleet: fleetDirectory,
        newKey,
        newFolder,
        ...(newRecovery ? { recovery } : {}),
      };
      const lines = [
        newKey
          ? `made the fleet's key in ${stateDirectory}/keys`
          : `kept the fleet's key in ${stateDirectory}/keys`,
        newFolder ? `wrote an example to ${fleetDirectory}/fleet.yaml` : `kept ${fleetDirectory}`,
        ...(newRecovery
          ? [
              `the fleet's recovery identity is ${recovery}: move it to where no machine can read it (a USB stick in a safe); whoever has it can read every secret, and without it no secret can be given to a new blade`,
            ]
          : []),
        'next: describe your blades there, then `bladeroot tree create`, `snapshot pack`, `release publish`, `serve`',
      ];
      output.result(result, lines.join('\n'));
    });
}

interface InitOptions {
  name: string;
  subnet: string;
  passphrase?: boolean;
  passphraseFile?: string;
  publicKey?: string;
  recovery?: string;
}

/** Returns whether a key was made, or its public half taken. */
async function provideKey(
  stateDirectory: string,
  { passphrase, passphraseFile, publicKey }: InitOptions,
): Promise<boolean> {
  const asked = passphrase === true || passphraseFile !== undefined;
  if (publicKey === undefined) {
    const ask: AskPassphrase | undefined = asked ? newPassphraseFrom(passphraseFile) : undefined;
    return await createKeys(stateDirectory, ask);
  }
  if (asked) {
    throw new BladerootError('BAD_OPTIONS', '--public-key and a passphrase exclude each other', {
      hint: 'the passphrase is for who keeps the private half',
    });
  }
  const given = await readPublicKeyFile(publicKey);
  const there = await readPublicKey(stateDirectory).catch((error: unknown) => {
    if (errorCode(error) !== 'NO_KEY') throw error;
    return undefined;
  });
  if (there === undefined) await writePublicKey(stateDirectory, given);
  else if (keyId(there) !== keyId(given)) {
    throw new BladerootError('WRONG_KEY', `${stateDirectory} has another key already (${keyId(there)})`, {
      hint: "name an empty directory with --state; a fleet's blades trust one key, for good",
    });
  }
  return there === undefined;
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

/**
 * For a fleet that has none yet; returns whether it did.
 * @throws BladerootError `HAS_RECOVERY`: one is not taken out of use by making another
 */
async function addRecovery(directory: string, recovery: string, signal: AbortSignal): Promise<boolean> {
  const unlock = await lockFolder(directory, signal);
  try {
    const { secrets } = await loadFleet(directory);
    if (secrets.recovery.length > 0) {
      throw new BladerootError(
        'HAS_RECOVERY',
        `the fleet has ${secrets.recovery.length} recovery recipients already`,
        {
          hint: 'write a further one, or another one, into fleet.yaml yourself, then run `bladeroot secret rekey`',
        },
      );
    }
    const { recipient } = await recoveryIdentity(recovery);
    const change = { path: ['secrets', 'recovery'], value: [recipient] };
    await writeProposal(directory, await proposeEdit(directory, () => [change]));
    return true;
  } finally {
    await unlock();
  }
}

/** Of an earlier try, or of a fleet before this one, where the file is there. */
async function recoveryIdentity(path: string): Promise<Identity> {
  const [there] = (await readIdentities(path)) ?? [];
  if (there !== undefined) return there;
  const made = await newIdentity();
  await writeIdentity(path, made);
  return made;
}
