/** What a running blade is to run, as far as any root can tell it, and whether that is something to do. */
import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { BladerootError } from '../errors.ts';
import { readPublicKey } from '../release/keys.ts';
import { ReleaseRepository, type SignedRelease } from '../release/repository.ts';
import { releaseToRun, type ReleaseBlade } from '../release/statement.ts';
import { readChoice, startableSlots, type Esps } from './grub/esp.ts';
import { newestRelease } from './newest-release.ts';
import { readBladeState, requireNotOlder, type BladeState, type Slot } from './state.ts';
import { planUpdate, type UpdatePlan } from './update-plan.ts';

export interface LookOptions {
  stateDirectory: string;
  running: Slot;
  esp: Esps;
  /** The port on which every root answers HTTP. */
  port: number;
  /** Deploys what the blade is to run once more, into a new file system, though a slot holds it. */
  deploy: boolean;
  signal: AbortSignal;
}

export interface FoundUpdate {
  state: BladeState;
  publicKey: KeyObject;
  release: SignedRelease;
  /** What the release says of this blade. */
  blade: ReleaseBlade;
  /** Base URLs of the roots that have answered, those that have the release first. */
  roots: string[];
  plan: UpdatePlan;
}

/** @throws BladerootError `NOT_A_BLADE`, `NO_ROOT`, `RELEASE_OLDER`, `NOT_IN_RELEASE` */
export async function lookForUpdate(options: LookOptions): Promise<FoundUpdate> {
  const { stateDirectory, running, esp, deploy, signal } = options;
  const state = await readBladeState(stateDirectory);
  if (state === undefined) {
    throw new BladerootError('NOT_A_BLADE', `there is no ${join(stateDirectory, 'blade.json')}`, {
      hint: 'only a blade that bladeroot has deployed has a slot to update',
    });
  }
  const publicKey = await readPublicKey(stateDirectory);
  const groups = await rootsOf(state, publicKey, options);
  const { release, roots } = await newestRelease(groups, publicKey, signal);
  const { sequence, blades } = release.statement;
  requireNotOlder(state, sequence, roots[0] ?? '');
  const blade = blades.find(({ name }) => name === state.name);
  if (blade === undefined) {
    throw new BladerootError('NOT_IN_RELEASE', `release ${sequence} has no blade ${state.name}`, {
      hint: 'this machine keeps what it has; give it its name again, or adopt it under another one',
    });
  }
  const [choice, there] = [await readChoice(esp), await startableSlots(esp)];
  const toRun = releaseToRun(release.statement, blade);
  const plan = planUpdate({ state, running, release: toRun, deploy, choice, there });
  return { state, publicKey, release, blade, roots, plan };
}

/** Those that have deployed this blade; when none of them answers, all other blades, each of which may be the root. */
async function rootsOf(
  state: BladeState,
  publicKey: KeyObject,
  { stateDirectory, running, port }: LookOptions,
): Promise<string[][]> {
  const installed = state.slots[running];
  if (installed === undefined) return [state.roots];
  const { statement } = await new ReleaseRepository(stateDirectory, publicKey).read(installed.release);
  const others = statement.blades
    .filter(({ name }) => name !== state.name)
    .map(({ address }) => `http://${address}:${port}`);
  return [state.roots, others.filter((root) => !state.roots.includes(root))];
}
