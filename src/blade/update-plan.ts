/** Whether a running blade brings its other slot to a release. Pure. */
import type { BladeState, Slot } from './state.ts';
import { badRelease, otherSlot } from './trial.ts';

export type UpdatePlan = { action: 'prepare'; slot: Slot } | { action: 'nothing' | 'wait'; why: string };

export interface UpdateFacts {
  state: Pick<BladeState, 'slots' | 'bad'>;
  running: Slot;
  /** The number of the release that the blade is to run. */
  release: number;
  /** Somebody wants it deployed again, whatever holds it. */
  deploy: boolean;
}

/**
 * The running slot is never written, and the other one only once the running slot has proved good: until then the other
 * may be the last good one. A release with which this blade did not become healthy is not tried again by itself.
 */
export function planUpdate({ state, running, release, deploy }: UpdateFacts): UpdatePlan {
  const slot = otherSlot(running);
  if (!deploy && state.slots[running]?.release === release) {
    return { action: 'nothing', why: `release ${release} is running, in slot ${running}` };
  }
  const other = state.slots[slot];
  if (!deploy && other?.release === release) {
    return { action: 'nothing', why: `slot ${slot} holds release ${release} already` };
  }
  const bad = badRelease(state, release);
  if (!deploy && bad !== undefined) {
    return { action: 'nothing', why: `release ${release} was bad here: ${bad.reason}` };
  }
  if (state.slots[running]?.good !== true) {
    const why = `slot ${running}, which is running, has not proved good yet: slot ${slot} stays as it is until then`;
    return { action: 'wait', why };
  }
  return { action: 'prepare', slot };
}
