/** What becomes of a slot that has to prove good: pure, so that every order of events can be tried out. */
import { proven, TRIES, type BootChoice } from './grub/choice.ts';
import type { BadRelease, BladeState, Slot } from './state.ts';

export interface Running {
  state: BladeState;
  /** What GRUB has in its block. */
  choice: BootChoice;
  /** The slots that GRUB can start. */
  there: readonly Slot[];
  /** The slot that runs. */
  slot: Slot;
}

export type AfterFailure =
  /** It runs a slot that was good before, or there is no other to go to. */
  | { kind: 'stay' }
  /** It restarts: once more into the same slot, or, for good, into the last good one. */
  | { kind: 'retry' | 'give-up'; to: Slot; choice: BootChoice };

/** What a blade does that has not become healthy in its time. */
export function afterFailure({ state, choice, there, slot }: Running): AfterFailure {
  const installed = state.slots[slot];
  const good = otherSlot(slot);
  const canFallBack = state.slots[good]?.good === true && there.includes(good);
  if (installed === undefined || installed.good || !canFallBack) return { kind: 'stay' };
  const byGrub = choice.trial?.slot === slot ? TRIES - choice.trial.tries : 0;
  const left = TRIES - byGrub - (installed.starts ?? 0);
  // An agent from before starts were counted has started it without a note: this start counts all the same.
  const tries = Math.min(left, TRIES - 1);
  if (tries <= 0) return { kind: 'give-up', to: good, choice: { good, trial: undefined } };
  return { kind: 'retry', to: slot, choice: { good, trial: { slot, tries } } };
}

/** What GRUB is told by a slot that has proved good and runs; undefined: another one is on trial, and still is. */
export function choiceOfGood({ choice, slot }: Pick<Running, 'choice' | 'slot'>): BootChoice | undefined {
  const { trial } = choice;
  const isPending = trial !== undefined && trial.slot !== slot && trial.tries > 0;
  return isPending ? undefined : proven(slot);
}

export function otherSlot(slot: Slot): Slot {
  return slot === 'a' ? 'b' : 'a';
}

/** The release whose tries are used up, while another slot runs than the one that holds it. */
export function failedTrial({ state, choice, slot }: Omit<Running, 'there'>): number | undefined {
  const { trial } = choice;
  if (trial === undefined || trial.slot === slot || trial.tries > 0) return undefined;
  const installed = state.slots[trial.slot];
  return installed === undefined || installed.good ? undefined : installed.release;
}

/** So many are remembered; a release that was found bad so long ago is not published any more. */
const REMEMBERED = 8;

/** The state with a release that is not installed again by itself; the first reason stays. */
export function condemned(state: BladeState, bad: BadRelease): BladeState {
  if (badRelease(state, bad.release) !== undefined) return state;
  return { ...state, bad: [...(state.bad ?? []), bad].slice(-REMEMBERED) };
}

/** The state in which a release may be tried again: somebody has asked for it. */
export function forgiven(state: BladeState, release: number): BladeState {
  const bad = (state.bad ?? []).filter((one) => one.release !== release);
  const { bad: _bad, ...rest } = state;
  return bad.length === 0 ? rest : { ...rest, bad };
}

export function badRelease(state: BladeState | undefined, release: number): BadRelease | undefined {
  return state?.bad?.find((one) => one.release === release);
}

/** What a blade that falls back tells: the newest release that it does not run because it was bad here. */
export function newestBad(state: BladeState, running: number): BadRelease | undefined {
  return state.bad
    ?.filter(({ release }) => release > running)
    .reduce<BadRelease | undefined>(
      (newest, one) => (newest === undefined || one.release > newest.release ? one : newest),
      undefined,
    );
}
