/** Whether a running blade brings its other slot to a release, or only has it started. Pure. */
import { nextStart, proven, trying, type BootChoice } from './grub/choice.ts';
import type { BladeState, Slot } from './state.ts';
import { badRelease, otherSlot } from './trial.ts';

export type UpdatePlan =
  | { action: 'prepare'; slot: Slot }
  /** The slot holds the release: GRUB gets to know that it is started next. */
  | { action: 'switch'; slot: Slot; choice: BootChoice }
  | { action: 'nothing' | 'wait'; why: string };

export interface UpdateFacts {
  state: Pick<BladeState, 'slots' | 'bad'>;
  running: Slot;
  /** The number of the release that the blade is to run. */
  release: number;
  /** Somebody wants it deployed again, whatever holds it. */
  deploy: boolean;
  /** What GRUB has in its block. */
  choice: BootChoice;
  /** The slots that GRUB can start. */
  there: readonly Slot[];
}

/**
 * The running slot is never written, and the other one only once the running slot has proved good: until then the other
 * may be the last good one. A release with which this blade did not become healthy is not tried again by itself. One that a
 * slot holds already, as when a pin is set or taken away, is not written again.
 */
export function planUpdate({ state, running, release, deploy, choice, there }: UpdateFacts): UpdatePlan {
  const other = otherSlot(running);
  const own = state.slots[running];
  if (!deploy) {
    const bad = badRelease(state, release);
    if (bad !== undefined) return nothing(`release ${release} was bad here: ${bad.reason}; ${TRIES_AGAIN}`);
    const runs = own?.release === release;
    const next = nextStart(choice, there).slot;
    if (next === other && state.slots[other]?.release === release) {
      return nothing(`slot ${other} holds release ${release} already, and is started next`);
    }
    const isNext = next === running || !there.includes(running);
    if (runs && (isNext || !own.good)) return nothing(`release ${release} is running, in slot ${running}`);
  }
  if (own?.good !== true) {
    const why = `slot ${running}, which is running, has not proved good yet: slot ${other} stays as it is until then`;
    return { action: 'wait', why };
  }
  const holder = deploy ? undefined : [running, other].find((slot) => state.slots[slot]?.release === release);
  if (holder === undefined || !there.includes(holder)) return { action: 'prepare', slot: other };
  const isGood = state.slots[holder]?.good === true;
  return {
    action: 'switch',
    slot: holder,
    choice: isGood ? proven(holder) : trying(proven(running), holder),
  };
}

const TRIES_AGAIN = '`bladeroot blade reinstall --local` tries it again';

function nothing(why: string): UpdatePlan {
  return { action: 'nothing', why };
}
