/** Lets a blade wipe a disk: this one, with what it carries now, and so once. */
import { BladerootError } from '../../errors.ts';
import type { DiskPlan, Refusal } from '../../disks/plan.ts';
import { listed, wipedDisks } from '../../disks/wording.ts';
import { proposeEdit, writeProposal } from '../../fleet/edit-folder.ts';
import { layoutOf, type Layout } from '../../fleet/layout.ts';
import { loadFleet } from '../../fleet/load.ts';
import type { Machine } from '../../fleet/machine.ts';
import { resolveBlade } from '../../fleet/resolve.ts';
import type { Context } from '../command.ts';
import { confirm } from '../fleet/confirm.ts';
import type { SigningOptions } from '../signing.ts';
import { findPublishable, publishChange } from './publish-change.ts';
import { knownMachineOf, planReported } from './reported-disks.ts';

export interface WipeOptions extends SigningOptions {
  publish: boolean;
  yes?: true;
}

export async function allowWipe(context: Context, name: string, options: WipeOptions): Promise<void> {
  const { fleetDirectory, output } = context;
  const blade = resolveBlade(await loadFleet(fleetDirectory), name);
  const { machine } = knownMachineOf(context, blade);
  const publishable = await findPublishable(context, options);
  const { plan, fingerprint } = await confirmedWipe(context, {
    name,
    machine,
    layout: layoutOf(blade.disks),
    ask: options.yes !== true,
  });
  const path = listed(wipedDisks(plan));
  const proposal = await proposeEdit(fleetDirectory, () => [
    { path: ['blades', name, 'disks', 'wipe'], value: fingerprint },
  ]);
  await writeProposal(fleetDirectory, proposal);
  const message = `${name} may wipe ${path}`;
  const release = publishable && (await publishChange(context, { ...publishable, message }, proposal.after));
  output.result(
    {
      blade: name,
      disk: path,
      fingerprint,
      loses: plan.loses,
      ...(release === undefined ? {} : { release }),
    },
    release === undefined
      ? `${name} wipes ${path} after the next \`bladeroot release publish\``
      : `release ${release} lets ${name} wipe ${path}, with what it carries now and no more: it goes on by itself`,
  );
}

export interface ConfirmRequest {
  name: string;
  machine: Machine;
  layout: Layout;
  /** Whether the person at the terminal is asked. */
  ask: boolean;
}

/** @throws BladerootError `NOTHING_TO_WIPE`, `NOT_CONFIRMED`, `NO_TERMINAL` */
export async function confirmedWipe(
  context: Context,
  { name, machine, layout, ask }: ConfirmRequest,
): Promise<NonNullable<Refusal['ifWiped']>> {
  const planned = await planReported(context, machine, { ...layout, wipe: 'ask' });
  const { ifWiped } = planned;
  if (ifWiped === undefined) throw nothingToWipe(name, planned);
  const { plan } = ifWiped;
  const disks = listed(wipedDisks(plan));
  const question = `${name} wipes ${disks}, and this is lost: ${plan.loses.join(', ')}. Is that right?`;
  if (ask && !(await confirm(question, context.signal))) {
    throw new BladerootError('NOT_CONFIRMED', `${name} may not wipe ${disks}`, {
      hint: 'nothing is changed',
    });
  }
  return ifWiped;
}

function nothingToWipe(name: string, planned: DiskPlan | Refusal): BladerootError {
  if (planned.action === 'refuse') {
    return new BladerootError(
      'NOTHING_TO_WIPE',
      `wiping would not help ${name}: ${planned.reasons.join('; ')}`,
      {
        hint: 'change its layout or its disks',
      },
    );
  }
  const why = planned.action === 'lay-out' ? 'is blank' : 'is one that bladeroot has laid out';
  return new BladerootError('NOTHING_TO_WIPE', `${name} needs no permission: ${planned.disk.path} ${why}`, {
    hint: `\`bladeroot blade disks ${name} --plan\` shows what happens to it`,
  });
}
