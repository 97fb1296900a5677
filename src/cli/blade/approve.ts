/** Accepts the identity of a blade: from then on its secrets are encrypted to it. */
import type { Command } from 'commander';
import { BladerootError } from '../../errors.ts';
import { lockFolder, proposeEdit, writeProposal } from '../../fleet/edit-folder.ts';
import { loadFleet } from '../../fleet/load.ts';
import { describeMachine } from '../../fleet/machine.ts';
import { resolveBlade } from '../../fleet/resolve.ts';
import { fingerprint } from '../../secrets/fingerprint.ts';
import type { KnownMachine } from '../../state/machines.ts';
import { contextOf, leaf, type Context } from '../command.ts';
import { confirm } from '../fleet/confirm.ts';
import { withIdentity, type IdentityOptions } from '../secret/identities.ts';
import { withSigningOptions, type SigningOptions } from '../signing.ts';
import { requireFingerprint } from './fingerprint.ts';
import { readKnown } from './pending.ts';
import { findPublishable, publishChange } from './publish-change.ts';
import { prepareRekey } from './rekey-change.ts';

interface ApproveOptions extends SigningOptions, IdentityOptions {
  fingerprint?: string;
  replace?: true;
  yes?: true;
  publish: boolean;
}

export function approveCommand(signal: AbortSignal): Command {
  const command = leaf(
    'approve',
    'on the root: accept the identity that a blade has made, so that it gets its secrets',
    [
      'bladeroot blade approve web01 --identity /media/usb/recovery.key',
      'bladeroot blade approve web01 --fingerprint 4f2a-91c0-77de-0b13-a5c4    # as its console shows it',
      'bladeroot blade approve web01 --replace    # its disk was replaced, or the machine',
    ],
  )
    .argument('<name>', 'the blade')
    .option('--fingerprint <digits>', 'accept this one only, without a question')
    .option('--replace', 'also in the place of an identity that was accepted before')
    .option('-y, --yes', 'do not ask whether the console of the blade shows the same fingerprint')
    .option('--no-publish', 'only change the fleet folder: it counts from the next `release publish` on');
  return withSigningOptions(withIdentity(command)).action(
    async (name: string, options: ApproveOptions, self: Command) => {
      const context = contextOf(self, signal);
      const recipient = await confirmed(context, name, options);
      const unlock = await lockFolder(context.fleetDirectory, signal);
      try {
        await approve(context, { name, recipient, options });
      } finally {
        await unlock();
      }
    },
  );
}

/**
 * The recipient that a person has seen on the machine's own console: what a root hears, anybody can have said.
 * @throws BladerootError `UNKNOWN_BLADE`, `NO_HELLO`, `OTHER_IDENTITY`, `WRONG_FINGERPRINT`, `NOT_CONFIRMED`, `NO_TERMINAL`
 */
async function confirmed(context: Context, name: string, options: ApproveOptions): Promise<string> {
  const accepted = resolveBlade(await loadFleet(context.fleetDirectory), name).recipient;
  const { machine } = machineOf(readKnown(context.stateDirectory), name);
  const { recipient, mac } = machine;
  if (recipient === accepted) return recipient;
  const shown = fingerprint(recipient);
  if (options.fingerprint !== undefined) requireFingerprint(options.fingerprint, recipient, name);
  if (accepted !== undefined && options.replace !== true) {
    throw new BladerootError(
      'OTHER_IDENTITY',
      `${name} has an accepted identity (${fingerprint(accepted)}), and the machine that says it is ${name} another one (${shown})`,
      {
        hint: `if its disk or the machine was replaced, compare ${shown} with its console and add --replace; else look for the machine that has taken its MAC`,
      },
    );
  }
  if (options.fingerprint === undefined && options.yes !== true) {
    const question = `${name} (${mac}, ${describeMachine(machine)}) has the identity ${shown}. Does its console show the same?`;
    if (!(await confirm(question, context.signal))) {
      throw new BladerootError('NOT_CONFIRMED', `the identity of ${name} is not accepted`, {
        hint: 'nothing is changed; look for the machine that has taken its MAC',
      });
    }
  }
  return recipient;
}

async function approve(
  context: Context,
  { name, recipient, options }: { name: string; recipient: string; options: ApproveOptions },
): Promise<void> {
  const { fleetDirectory, output } = context;
  const publishable = await findPublishable(context, options);
  const proposal = await proposeEdit(fleetDirectory, () => [
    { path: ['blades', name, 'recipient'], value: recipient },
  ]);
  const rekey = await prepareRekey(context, proposal.after, options);
  await writeProposal(fleetDirectory, proposal);
  const files = await rekey();
  const release =
    publishable &&
    (await publishChange(
      context,
      { ...publishable, message: `the identity of ${name} is accepted` },
      proposal.after,
    ));
  output.result(
    {
      blade: name,
      recipient,
      fingerprint: fingerprint(recipient),
      rekeyed: files,
      ...(release === undefined ? {} : { release }),
    },
    release === undefined
      ? `${name} is accepted; it gets its secrets by the next \`bladeroot release publish\``
      : `${name} is accepted: release ${release} has its secrets, and its next start with that release brings them`,
  );
}

/** @throws BladerootError `NO_HELLO` */
function machineOf(known: KnownMachine[], name: string): KnownMachine & { machine: { recipient: string } } {
  const found = known.find(({ blade }) => blade === name);
  const recipient = found?.machine.recipient;
  if (found !== undefined && recipient !== undefined)
    return { ...found, machine: { ...found.machine, recipient } };
  throw new BladerootError('NO_HELLO', `no machine has shown an identity as ${name}`, {
    hint: 'boot it from the network while `bladeroot serve` runs here, then try again',
  });
}
