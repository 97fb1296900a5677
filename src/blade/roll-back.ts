/** Going back to the other slot by hand, on the blade itself. */
import { BladerootError } from '../errors.ts';
import { markGood, startableSlots, type Esps } from './grub/esp.ts';
import { readBladeState, writeBladeState, type Slot } from './state.ts';
import { condemned, goodSlot } from './trial.ts';

export interface RolledBack {
  /** What the next start takes. */
  slot: Slot;
  release: number;
  /** The release that is not installed again by itself. */
  left: number;
}

/**
 * Has GRUB start the other slot from now on; the release that runs is remembered as one that is not wanted here.
 * @param running the slot that runs
 * @throws BladerootError `NO_GOOD_SLOT`, `BLADE_STATE`
 */
export async function rollBack(stateDirectory: string, running: Slot, esp: Esps): Promise<RolledBack> {
  const state = await readBladeState(stateDirectory);
  const slot = goodSlot(state, running);
  const [installed, left] = [slot && state?.slots[slot], state?.slots[running]?.release];
  if (state === undefined || slot === undefined || installed === undefined || left === undefined) {
    throw new BladerootError('NO_GOOD_SLOT', 'the other slot holds no release that has proved good here', {
      hint: 'pin the blade to an older release on the root: `bladeroot blade set NAME --pin N`, then publish',
    });
  }
  if (!(await startableSlots(esp)).includes(slot)) {
    throw new BladerootError('NO_GOOD_SLOT', `slot ${slot} has no kernel on the disk`, {
      hint: 'it was installed before slots had kernels of their own; pin the blade on the root instead',
    });
  }
  const bad = { release: left, reason: 'rolled back by hand', at: new Date().toISOString() };
  // Before GRUB is told: whatever happens in between, no update brings it back by itself.
  await writeBladeState(stateDirectory, condemned(state, bad));
  await markGood(esp, slot);
  return { slot, release: installed.release, left };
}
