/**
 * What a deployed blade does by itself after its start: makes its disk bootable, finds out whether its slot is good, falls
 * back if it is not, and tells the root that it is up.
 */
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { BladerootError, describeError } from '../errors.ts';
import type { BootStep, Report, StepReport, UpReport } from '../events/catalogue.ts';
import { readPublicKey } from '../release/keys.ts';
import { ReleaseRepository } from '../release/repository.ts';
import { releaseLayout, type ReleaseStatement } from '../release/statement.ts';
import { Store } from '../store/store.ts';
import { PARTITIONS } from '../fleet/layout.ts';
import { readIfThere } from '../system/read-file.ts';
import { run } from '../system/run.ts';
import { keepBootOrder } from './boot-order/keep.ts';
import { installBootLoader } from './boot-loader.ts';
import { callOffDeadline } from './deadline.ts';
import { slotPartition } from './disk-of.ts';
import { bootAreas, ownMirror } from './boot-areas.ts';
import { placeKernel, readChoice, withdrawSlot, writeChoice } from './grub/esp.ts';
import { watchMirror } from './mirror/watch.ts';
import { proveSlot } from './prove-slot.ts';
import { bootId, sendReport } from './report.ts';
import { describeServices, runningServices, type RunningServices } from './running-services.ts';
import { readBladeState, SLOTS, type BladeState, type Slot } from './state.ts';
import { newestBad } from './trial.ts';

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;

export interface StandbyOptions {
  stateDirectory: string;
  /** The port on which every root answers HTTP. */
  port: number;
  signal: AbortSignal;
  /** What is being done, in words. */
  onStep(step: string): void;
}

/** @throws BladerootError `NOT_A_BLADE`, `BLADE_STATE`, ... */
export async function standBy(options: StandbyOptions): Promise<void> {
  const { stateDirectory, onStep, signal } = options;
  const state = await readBladeState(stateDirectory);
  if (state === undefined) {
    throw new BladerootError('NOT_A_BLADE', `there is no ${join(stateDirectory, 'blade.json')}`, {
      hint: 'this is done by blades that bladeroot has deployed, not by a machine that was installed otherwise',
    });
  }
  const slot = await runningSlot();
  const installed = state.slots[slot];
  if (installed === undefined) {
    throw new BladerootError('BLADE_STATE', `blade.json knows nothing of slot ${slot}, which is running`);
  }
  const releases = new ReleaseRepository(stateDirectory, await readPublicKey(stateDirectory));
  const { statement: release } = await releases.read(installed.release);
  const boot = await bootId();
  const roots = rootsOf(state, release, options.port);
  const report = async (step: BootStep, step_: StepReport['state'], message: string): Promise<void> => {
    onStep(message);
    const said: Report = { type: 'blade.step', blade: state.name, boot, step, state: step_, message };
    // Only told: a root that is not there misses it.
    await tellAnyRoot(roots, said).catch((error: unknown) => onStep(`not told: ${describeError(error)}`));
  };

  const bootable = { stateDirectory, releases, release, blade: state.name, slot, report, onStep };
  await makeBootable(bootable);
  const services = await runningServices();
  const blade = release.blades.find(({ name }) => name === state.name);
  await callOffDeadline();
  // Its own failures it tells itself; it ends with the signal.
  void watchMirror({
    layout: releaseLayout(blade ?? {}),
    signal,
    onStep,
    tell: async (mirror) =>
      await tellAnyRoot(roots, { type: 'blade.mirror', blade: state.name, boot, ...mirror }),
    makeBootable: async () => await makeBootable(bootable),
  });
  const own = { stateDirectory, esp: await bootAreas(onStep), slot, health: blade?.health };
  const proof = await proveSlot({ ...own, services, report, restart, signal });
  if (proof.kind === 'restarting') return;
  const bad = newestBad(proof.state, release.sequence);
  const up: UpReport = {
    type: 'blade.up',
    blade: state.name,
    boot,
    release: release.sequence,
    slot,
    from: (await cameFromDisk()) ? 'disk' : 'network',
    services: await servicesText(services, proof.wrong),
    ...(bad === undefined ? {} : { bad: { release: bad.release, reason: bad.reason } }),
  };
  onStep(`up with release ${release.sequence} in slot ${slot}, services: ${up.services}`);
  await tellSomeRoot(roots, up, options);
  await proof.later;
}

/** @param wrong what health checks say, where they do not pass */
export async function servicesText(services: RunningServices, wrong: string | undefined): Promise<string> {
  const state = describeServices(await services.failed());
  return (wrong === undefined ? state : `${state}; not healthy: ${wrong}`).slice(0, 2000);
}

interface Bootable {
  stateDirectory: string;
  releases: ReleaseRepository;
  release: ReleaseStatement;
  blade: string;
  slot: Slot;
  report(step: BootStep, state: StepReport['state'], message: string): Promise<void>;
  onStep(step: string): void;
}

/** The kernel comes before GRUB's configuration, which starts what is there. */
async function makeBootable(bootable: Bootable): Promise<void> {
  const { release, blade, slot, report, onStep } = bootable;
  void report('boot-loader', 'started', 'making the disk bootable');
  const { bootOrder } = release.blades.find(({ name }) => name === blade) ?? {};
  const areas = await bootAreas(onStep);
  await placeSlot(bootable, areas, slot, release);
  if (areas.length > 1) await alignAreas(bootable, areas);
  let isNew = false;
  for (const area of areas) isNew = (await installBootLoader(area)) || isNew;
  const order = bootOrder === undefined ? '' : `; ${await keepBootOrder(bootOrder, areas)}`;
  const loader = isNew ? 'GRUB is installed' : 'the boot loader is as it should be';
  void report('boot-loader', 'done', `${loader}${order}`);
}

async function placeSlot(
  { stateDirectory, blade }: Bootable,
  esp: readonly string[],
  slot: Slot,
  release: ReleaseStatement,
): Promise<void> {
  const { kernelArgs = [] } = release.blades.find(({ name }) => name === blade) ?? {};
  const store = await Store.open(join(stateDirectory, 'store'));
  const partition = await slotPartition(slot, '/');
  const mirror = (await ownMirror())?.uuid;
  await placeKernel({ esp, store, slot, release, kernelArgs, partition, mirror });
}

/** A disk that has come in the place of another has nothing on its ESP, one that was out for a while what was right then. */
async function alignAreas(bootable: Bootable, esp: readonly string[]): Promise<void> {
  const { stateDirectory, releases, slot: running } = bootable;
  const state = await readBladeState(stateDirectory);
  for (const slot of SLOTS.filter((one) => one !== running)) {
    const installed = state?.slots[slot];
    if (installed === undefined) await withdrawSlot(esp, slot, undefined, async () => undefined);
    else await placeSlot(bootable, esp, slot, (await releases.read(installed.release)).statement);
  }
  await writeChoice(esp, await readChoice(esp));
}

/** Every blade may be the root: those that have deployed this one first, then all others. */
export function rootsOf(state: BladeState, release: ReleaseStatement, port: number): string[] {
  const others = release.blades
    .filter(({ name }) => name !== state.name)
    .map(({ address }) => `http://${address}:${port}`);
  return [...new Set([...state.roots, ...others])];
}

async function tellAnyRoot(roots: string[], report: Report): Promise<void> {
  await Promise.any(roots.map(async (root) => await sendReport(root, report))).catch((error: unknown) => {
    throw error instanceof AggregateError ? error.errors[0] : error;
  });
}

/** Tells it until a root has heard it: one may be down for a long time, and must know afterwards. */
export async function tellSomeRoot(roots: string[], report: Report, options: StandbyOptions): Promise<void> {
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    try {
      await tellAnyRoot(roots, report);
      return;
    } catch (error) {
      options.onStep(`no root hears (${describeError(error)}); trying again`);
    }
    await wait(pause * (0.5 + Math.random()), undefined, { signal: options.signal });
  }
}

async function restart(): Promise<void> {
  await run('reboot', []);
}

/** The slot that is the root filesystem, by the name of its partition. @throws BladerootError `NOT_A_BLADE` */
export async function runningSlot(): Promise<Slot> {
  const { stdout } = await run('findmnt', ['--noheadings', '--output', 'SOURCE', '/']);
  const uevent = (await readIfThere(`/sys/class/block/${basename(stdout.trim())}/uevent`)) ?? '';
  const slot = SLOTS.find((name) => uevent.split('\n').includes(`PARTNAME=${PARTITIONS[name]}`));
  if (slot !== undefined) return slot;
  throw new BladerootError('NOT_A_BLADE', 'the root filesystem of this machine is no slot of bladeroot');
}

/** /init starts a slot by itself when the boot loader on the disk has named it. */
async function cameFromDisk(): Promise<boolean> {
  return / bladeroot\.slot=/.test(` ${await readFile('/proc/cmdline', 'utf8')}`);
}
