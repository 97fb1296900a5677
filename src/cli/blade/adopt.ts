/** Gives a machine that waits its name: in fleet.yaml, and with a release, so that it goes on by itself. */
import type { Command } from 'commander';
import { BladerootError, errorCode } from '../../errors.ts';
import { addBladeTo } from '../../fleet/add-blade.ts';
import { lockFolder } from '../../fleet/edit-folder.ts';
import { loadFleet } from '../../fleet/load.ts';
import { describeMachine, identityOf, type Machine } from '../../fleet/machine.ts';
import { didYouMean, nameList } from '../../fleet/nearest.ts';
import type { Fleet } from '../../fleet/schema.ts';
import { parseMac } from '../../net/mac.ts';
import { readPublicKey } from '../../release/keys.ts';
import type { Published } from '../../release/publish.ts';
import { ReleaseRepository } from '../../release/repository.ts';
import type { SigningKey } from '../../release/signing-key.ts';
import { collect, contextOf, leaf, type Context } from '../command.ts';
import { publishFrom } from '../release.ts';
import { openSigningKey, withSigningOptions, type SigningOptions } from '../signing.ts';
import { locked, openStore } from '../store.ts';
import { nextAddress } from './next-address.ts';
import { readPending } from './pending.ts';

interface AdoptOptions extends SigningOptions {
  address?: string;
  profile: string[];
  publish: boolean;
}

export function adoptCommand(signal: AbortSignal): Command {
  const command = leaf('adopt', 'on the root: make a blade of a machine that waits for a name', [
    'bladeroot blade adopt 52:54:00:12:34:56 web01 --profile web',
    'bladeroot blade adopt 4QX0P33 db01 --address 10.77.0.31    # by its serial number',
    'bladeroot blade list --pending                             # which machines wait',
  ])
    .argument('<machine>', 'its MAC address, serial number or GUID')
    .argument('<name>', 'the name of the blade, which is its host name')
    .option('--address <address>', 'its address (the next free one when left out)')
    .option('--profile <name>', 'a profile; can be given again and again', collect, [])
    .option('--no-publish', 'only write fleet.yaml: the machine goes on after the next `release publish`');
  return withSigningOptions(command).action(
    async (machine: string, name: string, options: AdoptOptions, command: Command) => {
      const context = contextOf(command, signal);
      const fleet = await loadFleet(context.fleetDirectory);
      const unlock = await lockFolder(context.fleetDirectory, signal);
      try {
        await adopt(context, fleet.name, { text: machine, name, options });
      } finally {
        await unlock();
      }
    },
  );
}

async function adopt(
  context: Context,
  fleetName: string,
  { text, name, options }: { text: string; name: string; options: AdoptOptions },
): Promise<void> {
  const { stateDirectory, fleetDirectory, output } = context;
  const machine = findMachine(
    readPending(stateDirectory).map((known) => known.machine),
    text,
  );
  const { mac } = machine;
  // What publishing takes has to be there before anything is written.
  const key = options.publish ? await keyOf(context, options) : undefined;
  const snapshot = options.publish ? await currentSnapshot(stateDirectory) : undefined;

  const before = await loadFleet(fleetDirectory);
  const isWritten = requireFree(before, name, machine);
  let after = before;
  let wrote: string;
  if (isWritten)
    wrote = `${name} stands in the fleet folder already: ${mac}, ${before.blades[name]?.address}`;
  else {
    const address = options.address ?? nextAddress(before);
    const { fleet, file } = await addBladeTo(fleetDirectory, name, {
      mac,
      address,
      profile: options.profile,
    });
    after = fleet;
    wrote = `${name} is in ${file} now: ${mac}, ${address} (${describeMachine(machine)})`;
  }
  const { address } = after.blades[name] ?? {};
  output.step(wrote);
  const published =
    key === undefined || snapshot === undefined
      ? undefined
      : await publish(context, { key, fleet: after, snapshot, message: `${name} is adopted` });
  const sequence = published?.release.statement.sequence;
  output.result(
    { fleet: fleetName, blade: name, mac, address, ...(sequence === undefined ? {} : { release: sequence }) },
    sequence === undefined
      ? `${name} goes on after the next \`bladeroot release publish\``
      : `release ${sequence} has it: ${name} goes on by itself`,
  );
}

/** @throws BladerootError `UNKNOWN_MACHINE`, `SEVERAL_MACHINES` */
function findMachine(pending: Machine[], text: string): Machine {
  const mac = macOf(text);
  const word = text.toLowerCase();
  const found = pending.filter((machine) => {
    const { macs, serial, guid } = identityOf(machine);
    return (mac !== undefined && macs.includes(mac)) || serial?.toLowerCase() === word || guid === word;
  });
  const [machine] = found;
  if (found.length > 1) {
    throw new BladerootError('SEVERAL_MACHINES', `${text} is what ${found.length} waiting machines have`, {
      hint: `name one by the MAC that it booted from: ${nameList(found.map((one) => one.mac))}`,
    });
  }
  if (machine !== undefined) return machine;
  const words = pending.flatMap((one) => [one.mac, ...(one.serial === undefined ? [] : [one.serial])]);
  const waiting = pending.map((one) => `${one.mac} (${describeMachine(one)})`);
  throw new BladerootError(
    'UNKNOWN_MACHINE',
    `no machine ${text} waits for a name${didYouMean(text, words)}`,
    {
      hint:
        pending.length === 0
          ? 'none waits at all: boot it from the network while `bladeroot serve` runs, or write it into fleet.yaml and publish'
          : `those that wait: ${nameList(waiting, 5)}`,
    },
  );
}

function macOf(text: string): string | undefined {
  try {
    return parseMac(text);
  } catch (error) {
    if (errorCode(error) !== 'BAD_MAC') throw error;
    return undefined;
  }
}

/**
 * Whether the blade is this very machine already: an adoption that was broken off while it was published.
 * @throws BladerootError `NAME_TAKEN`, `MACHINE_TAKEN`
 */
function requireFree({ blades }: Fleet, name: string, machine: Machine): boolean {
  const { macs } = identityOf(machine);
  const mine = Object.entries(blades).find(([, { mac }]) => mac !== undefined && macs.includes(mac))?.[0];
  if (mine !== undefined && mine === name) return true;
  if (mine !== undefined) {
    throw new BladerootError('MACHINE_TAKEN', `this machine is the blade ${mine} in fleet.yaml`, {
      hint: 'publish with `bladeroot release publish` if it waits all the same, or change its name in fleet.yaml',
    });
  }
  if (!Object.hasOwn(blades, name)) return false;
  const { mac, serial, guid } = blades[name] ?? {};
  throw new BladerootError('NAME_TAKEN', `there is a blade ${name} already (${mac ?? serial ?? guid})`, {
    hint: 'choose another name; for a new machine in its place, write its MAC into fleet.yaml and publish',
  });
}

async function keyOf(context: Context, options: SigningOptions): Promise<SigningKey> {
  try {
    return await openSigningKey(context, options);
  } catch (error) {
    if (errorCode(error) !== 'NO_KEY') throw error;
    throw new BladerootError(
      'NO_KEY',
      `a release needs the fleet's key, which is not in ${context.stateDirectory}/keys`,
      {
        hint: 'bring it here, name it with --key or --sign-with, or write fleet.yaml alone with --no-publish',
        cause: error,
      },
    );
  }
}

/** The id of the snapshot that the fleet runs: a name changes nothing about it. @throws BladerootError `NO_RELEASE` */
async function currentSnapshot(stateDirectory: string): Promise<string> {
  const release = await new ReleaseRepository(stateDirectory, await readPublicKey(stateDirectory)).current();
  if (release !== undefined) return release.statement.snapshot.id;
  throw new BladerootError('NO_RELEASE', 'there is no release whose snapshot the blade could get', {
    hint: 'use --no-publish, then `bladeroot release publish`',
  });
}

async function publish(
  context: Context,
  { key, fleet, ...options }: { key: SigningKey; fleet: Fleet; snapshot: string; message: string },
): Promise<Published> {
  const store = await openStore(context);
  return await locked(context, store, 'shared', () => publishFrom(context, { store, key, fleet }, options));
}
