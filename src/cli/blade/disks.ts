/** The disks of a blade as it has reported them, and what its layout would make of them. */
import type { Command } from 'commander';
import type { DiskPlan, HalfPlan, OneDiskPlan, Refusal } from '../../disks/plan.ts';
import { describeContents, gibibytes } from '../../disks/wording.ts';
import { expandHosts, HOST_LIST_HELP, isOneBlade } from '../../fleet/host-list.ts';
import { layoutOf } from '../../fleet/layout.ts';
import { loadFleet } from '../../fleet/load.ts';
import type { Machine } from '../../fleet/machine.ts';
import { resolveBlade, type ResolvedBlade } from '../../fleet/resolve.ts';
import { contextOf, leaf, type Context } from '../command.ts';
import { table } from '../output.ts';
import { knownMachineOf, planReported } from './reported-disks.ts';

export function disksCommand(signal: AbortSignal): Command {
  return leaf('disks', 'on the root: show the disks of blades, as they reported them at their last boot', [
    'bladeroot blade disks web01',
    'bladeroot blade disks web01 --plan    # what its layout in the fleet folder would make of them',
    'bladeroot blade disks @profile:web --plan',
  ])
    .argument('<blades...>', HOST_LIST_HELP)
    .option('--plan', 'what would happen to them; nothing is done')
    .action(async (hosts: string[], { plan }: { plan?: true }, command: Command) => {
      const context = contextOf(command, signal);
      const fleet = await loadFleet(context.fleetDirectory);
      const told: Told[] = [];
      for (const name of expandHosts(hosts, fleet)) {
        const blade = resolveBlade(fleet, name);
        told.push(plan === true ? await tellPlan(context, blade) : tellDisks(context, blade));
      }
      const isOne = isOneBlade(hosts);
      const values = told.map(({ value }) => value);
      const texts = told.map(({ value, text }) => (isOne || plan ? text : `${value.blade}:\n${text}`));
      context.output.result(isOne ? values[0] : values, texts.join('\n\n'));
    });
}

/** What is said of one blade, for programs and for people. */
interface Told {
  value: { blade: string; reported: string };
  text: string;
}

function tellDisks(context: Context, blade: ResolvedBlade): Told {
  const { machine, lastSeen } = knownMachineOf(context, blade);
  const value = { blade: blade.name, reported: new Date(lastSeen).toISOString(), disks: machine.disks };
  return { value, text: disksText(machine) };
}

async function tellPlan(context: Context, blade: ResolvedBlade): Promise<Told> {
  const { machine, lastSeen } = knownMachineOf(context, blade);
  const planned = await planReported(context, machine, layoutOf(blade.disks));
  const reported = new Date(lastSeen).toISOString();
  return {
    value: { blade: blade.name, reported, ...planValue(planned) },
    text: planText(blade.name, planned),
  };
}

function disksText({ disks }: Machine): string {
  const rows = disks.map((disk) => {
    const { path, bytes, model = '', serial = '', rotational, contents } = disk;
    const carries =
      contents === undefined
        ? 'not reported'
        : describeContents({ ...disk, contents }).join(', ') || 'nothing';
    return [path, gibibytes(bytes), rotational ? 'yes' : 'no', model, serial, carries];
  });
  if (rows.length === 0) return 'it has no disks';
  return table(['DISK', 'SIZE', 'ROTATIONAL', 'MODEL', 'SERIAL', 'CARRIES'], rows);
}

/** A plan for programs: of its disk only what tells which one it is. */
export function planValue(planned: DiskPlan | Refusal): object {
  const { ifWiped } = planned;
  const wiped =
    ifWiped === undefined
      ? {}
      : { ifWiped: { ...planValue(ifWiped.plan), fingerprint: ifWiped.fingerprint } };
  if (planned.action === 'refuse') {
    const { action, reasons } = planned;
    return { action, reasons, ...wiped };
  }
  const { mirror } = planned;
  const more = mirror === undefined ? {} : { mirror: { ...mirror, halves: mirror.halves.map(halfValue) } };
  return { ...diskValue(planned), ...more, ...wiped };
}

function diskValue({ action, disk, loses, partitions }: OneDiskPlan): object {
  return { action, disk: disk.path, serial: disk.serial, loses, partitions };
}

function halfValue(half: HalfPlan): object {
  return { ...diskValue(half), joins: half.joins };
}

const ACTIONS: Record<DiskPlan['action'], string> = {
  keep: 'stays as it is',
  change: 'is changed; nothing on it is lost',
  'lay-out': 'is laid out',
};

function planText(name: string, planned: DiskPlan | Refusal): string {
  const { ifWiped } = planned;
  const wiped = ifWiped === undefined ? '' : `\n${ifWipedText(name, ifWiped.plan)}`;
  if (planned.action !== 'refuse') {
    const { disk, action, loses, mirror } = planned;
    const lost = loses.length === 0 ? '' : `; this is lost: ${loses.join(', ')}`;
    const what = mirror === undefined ? disk.path : 'its mirror';
    return `${name}: ${what} ${ACTIONS[action]}${lost}\n${allText(planned)}${wiped}`;
  }
  const reasons = planned.reasons.map((reason) => `  ${reason}`).join('\n');
  return `${name}: nothing is written, and it waits:\n${reasons}${wiped}`;
}

function ifWipedText(name: string, plan: DiskPlan): string {
  const lost = plan.loses.map((thing) => `  ${thing}`).join('\n');
  const what = plan.mirror === undefined ? plan.disk.path : 'its mirror';
  const action = plan.action === 'change' ? 'is made whole' : 'is laid out';
  return `after \`bladeroot blade adopt ${name} --wipe\`, ${what} ${action}, and this is lost:\n${lost}\n${allText(plan)}`;
}

/** Of a mirror each disk before it. */
function allText(plan: DiskPlan): string {
  const { mirror } = plan;
  if (mirror === undefined) return partitionsText(plan);
  const halves = mirror.halves.map((half) => {
    const joins = half.joins ? ', and becomes a half of the mirror' : '';
    return `${half.disk.path} ${ACTIONS[half.action]}${joins}:\n${partitionsText(half)}`;
  });
  const lacks = mirror.lacks === undefined ? [] : [`the mirror lacks a half: ${mirror.lacks}`];
  const head = `the mirror${mirror.isNew ? '' : `, ${plan.disk.path}`} (${gibibytes(plan.disk.bytes)}):`;
  return [...halves, ...lacks, `${head}\n${partitionsText(plan)}`].join('\n');
}

function partitionsText({ partitions }: OneDiskPlan): string {
  const rows = partitions.map(({ name, start, bytes, fs, mount, change }) => [
    name,
    gibibytes(start),
    gibibytes(bytes),
    fs ?? '',
    mount ?? '',
    change,
  ]);
  return table(['PARTITION', 'FROM', 'SIZE', 'FILE SYSTEM', 'MOUNT', 'HAPPENS'], rows);
}
