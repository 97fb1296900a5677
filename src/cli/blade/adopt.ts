/** Gives a machine that waits its name: in fleet.yaml, and with a release, so that it goes on by itself. */
import type { Command } from 'commander';
import { BladerootError, errorCode } from '../../errors.ts';
import { addBladeTo } from '../../fleet/add-blade.ts';
import { lockFolder } from '../../fleet/edit-folder.ts';
import { layoutOf } from '../../fleet/layout.ts';
import { loadFleet } from '../../fleet/load.ts';
import { describeMachine, identityOf, type Machine } from '../../fleet/machine.ts';
import { didYouMean, nameList } from '../../fleet/nearest.ts';
import { layers, mergeSettings, NO_SETTINGS } from '../../fleet/resolve.ts';
import type { Fleet } from '../../fleet/schema.ts';
import { parseMac } from '../../net/mac.ts';
import { fingerprint } from '../../secrets/fingerprint.ts';
import { collect, contextOf, leaf, type Context } from '../command.ts';
import { withIdentity, type IdentityOptions } from '../secret/identities.ts';
import { withSigningOptions } from '../signing.ts';
import { requireFingerprint } from './fingerprint.ts';
import { networkFor, nextAddress } from './next-address.ts';
import { readPending } from './pending.ts';
import { findPublishable, publishChange } from './publish-change.ts';
import { prepareRekey, rekeyNothing } from './rekey-change.ts';
import { allowWipe, confirmedWipe, type WipeOptions } from './wipe.ts';

interface AdoptOptions extends WipeOptions, IdentityOptions {
  address?: string;
  network?: string;
  profile: string[];
  secrets: boolean;
  fingerprint?: string;
  wipe?: true;
}

export function adoptCommand(signal: AbortSignal): Command {
  const command = leaf('adopt', 'on the root: make a blade of a machine that waits for a name', [
    'bladeroot blade adopt 52:54:00:12:34:56 web01 --profile web',
    'bladeroot blade adopt 4QX0P33 db01 --address 10.77.0.31    # by its serial number',
    'bladeroot blade list --pending                             # which machines wait',
    'bladeroot blade adopt web01 --wipe                         # a blade whose disk carries something may wipe it',
  ])
    .argument('<machine>', 'its MAC address, serial number or GUID; with --wipe alone, the name of a blade')
    .argument('[name]', 'the name of the blade, which is its host name')
    .option('--address <address>', 'its address (the next free one of its network when left out)')
    .option('--network <name>', 'its network (the one that it was seen in when left out)')
    .option('--profile <name>', 'a profile; can be given again and again', collect, [])
    .option('--fingerprint <digits>', 'only when its identity has this one, as its console shows it')
    .option('--no-secrets', 'do not accept its identity yet: it gets no secrets until `blade approve`')
    .option('--wipe', 'its disk may be wiped, with what it carries now: once, and after a question')
    .option('-y, --yes', 'do not ask whether what is on the disk may be lost')
    .option('--no-publish', 'only write fleet.yaml: the machine goes on after the next `release publish`');
  return withSigningOptions(withIdentity(command)).action(
    async (machine: string, name: string | undefined, options: AdoptOptions, command: Command) => {
      if (name === undefined && options.wipe !== true) command.error("error: missing argument 'name'");
      const context = contextOf(command, signal);
      const fleet = await loadFleet(context.fleetDirectory);
      const unlock = await lockFolder(context.fleetDirectory, signal);
      try {
        if (name === undefined) await allowWipe(context, machine, options);
        else await adopt(context, fleet.name, { text: machine, name, options });
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
  const pending = readPending(stateDirectory);
  const machine = findMachine(
    pending.map((known) => known.machine),
    text,
  );
  const seenAt = pending.find((known) => known.machine === machine)?.address;
  const { mac } = machine;
  const recipient = options.secrets ? machine.recipient : undefined;
  if (options.fingerprint !== undefined) requireFingerprint(options.fingerprint, machine.recipient, mac);
  const publishable = await findPublishable(context, options);

  const before = await loadFleet(fleetDirectory);
  const isWritten = requireFree(before, name, machine);
  let after = before;
  let wrote: string;
  let rekeySecrets = rekeyNothing;
  if (isWritten) {
    rekeySecrets = await prepareRekey(context, before, options);
    wrote = `${name} stands in the fleet folder already: ${mac}, ${before.blades[name]?.address}`;
  } else {
    const address = options.address ?? nextAddress(before, networkFor(before, options.network, seenAt));
    const wipe = options.wipe && (await wipeOf(context, before, { name, machine, options }));
    const blade = { mac, address, profile: options.profile, recipient, wipe };
    const { fleet, file } = await addBladeTo(fleetDirectory, name, blade, async (proposed) => {
      rekeySecrets = await prepareRekey(context, proposed, options);
    });
    after = fleet;
    wrote = `${name} is in ${file} now: ${mac}, ${address} (${describeMachine(machine)})`;
  }
  const { address } = after.blades[name] ?? {};
  output.step(wrote);
  if (recipient !== undefined)
    output.step(
      `its identity ${fingerprint(recipient)} is accepted; should its console show another one, take it back: bladeroot blade unset ${name} recipient`,
    );
  const rekeyed = await rekeySecrets();
  if (rekeyed.length > 0) output.step(`encrypted for it: ${rekeyed.join(', ')}`);
  const sequence =
    publishable && (await publishChange(context, { ...publishable, message: `${name} is adopted` }, after));
  output.result(
    {
      fleet: fleetName,
      blade: name,
      mac,
      address,
      ...(recipient === undefined ? {} : { recipient }),
      ...(sequence === undefined ? {} : { release: sequence }),
    },
    sequence === undefined
      ? `${name} goes on after the next \`bladeroot release publish\``
      : `release ${sequence} has it: ${name} goes on by itself`,
  );
}

/** The fingerprint of what a new blade of these profiles may wipe. */
async function wipeOf(
  context: Context,
  fleet: Fleet,
  { name, machine, options }: { name: string; machine: Machine; options: AdoptOptions },
): Promise<string> {
  const found = layers(fleet, name, { ...NO_SETTINGS, profile: options.profile });
  const { disks } = found.map(([, layer]) => layer).reduce(mergeSettings, NO_SETTINGS);
  const ask = options.yes !== true;
  return (await confirmedWipe(context, { name, machine, layout: layoutOf(disks), ask })).fingerprint;
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
