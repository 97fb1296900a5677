/** What becomes of a slot that has to prove good: pure, so that every order of events can be tried out. */
import { proven, trying, TRIES, type BootChoice } from './grub/choice.ts';
import { SLOTS, slotWith, type BadRelease, type BladeState, type Slot } from './state.ts';

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
  const good = goodSlot(state, slot);
  if (installed === undefined || installed.good) return { kind: 'stay' };
  if (good === undefined || !there.includes(good)) return { kind: 'stay' };
  const byGrub = choice.trial?.slot === slot ? TRIES - choice.trial.tries : 0;
  const left = TRIES - byGrub - (installed.starts ?? 0);
  // An agent from before starts were counted has started it without a note: this start counts all the same.
  const tries = Math.min(left, TRIES - 1);
  if (tries <= 0) return { kind: 'give-up', to: good, choice: { good, trial: undefined } };
  return { kind: 'retry', to: slot, choice: { good, trial: { slot, tries } } };
}

/**
 * What GRUB is told by a slot that has proved good and runs: that it is good, and to try the other one, where that was
 * installed since and waits for it, also when the power failed before GRUB knew.
 */
export function choiceOfGood({ state, choice, there, slot }: Running): BootChoice {
  const { trial } = choice;
  const other = otherSlot(slot);
  if (trial?.slot === other && trial.tries > 0) return choice;
  const [own, next] = [state.slots[slot], state.slots[other]];
  const waits = own !== undefined && next?.good === false && next.installed > own.installed;
  if (!waits || !there.includes(other) || badRelease(state, next.release) !== undefined) return proven(slot);
  return trying(proven(slot), other);
}

export function otherSlot(slot: Slot): Slot {
  return slot === 'a' ? 'b' : 'a';
}

/** The other slot, where it has proved good. */
export function goodSlot(state: BladeState | undefined, slot: Slot): Slot | undefined {
  const other = otherSlot(slot);
  return state?.slots[other]?.good === true ? other : undefined;
}

export interface AgentStart {
  slot: Slot;
  /** As it is to be written before the slot is started. */
  state: BladeState;
  /** The release that is not started, as it was bad here; undefined when the slot holds what it is to hold. */
  bad: BadRelease | undefined;
}

/**
 * The slot that the agent starts as it is; undefined when the release has to be installed first. It counts how often it
 * has started one that has not proved good, as GRUB does.
 * @param now ISO 8601
 */
export function agentStart(
  state: BladeState | undefined,
  release: number,
  now: string,
): AgentStart | undefined {
  if (state === undefined) return undefined;
  const slot = slotWith(state, release);
  const installed = slot === undefined ? undefined : state.slots[slot];
  const isUsedUp = installed?.good === false && (installed.starts ?? 0) >= TRIES;
  const reason = `it was started ${TRIES} times and did not come up`;
  const known = isUsedUp ? condemned(state, { release, reason, at: now }) : state;
  const bad = badRelease(known, release);
  const good = SLOTS.find((one) => {
    const held = state.slots[one];
    return held?.good === true && badRelease(known, held.release) === undefined;
  });
  if (bad !== undefined && good !== undefined) return { slot: good, state: known, bad };
  if (slot === undefined || installed === undefined) return undefined;
  if (installed.good) return { slot, state: known, bad: undefined };
  const counted = { ...installed, starts: (installed.starts ?? 0) + 1 };
  return { slot, state: { ...known, slots: { ...known.slots, [slot]: counted } }, bad: undefined };
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

export function badRelease(
  state: Pick<BladeState, 'bad'> | undefined,
  release: number,
): BadRelease | undefined {
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
