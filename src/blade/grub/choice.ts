/** Which slot GRUB starts: what stands in its environment block, and what comes of it. Pure. */
import { SLOTS, type Slot } from '../state.ts';
import type { Environment } from './environment.ts';

/** How often a slot is started before it has to have proved good. */
export const TRIES = 2;

export interface BootChoice {
  /** The last slot that has proved good; undefined before the first has. */
  good: Slot | undefined;
  /** A slot that is to prove good, and how often it may still be started for that. */
  trial: { slot: Slot; tries: number } | undefined;
}

/** What is made of a block that is not there, or that no GRUB would read. */
export const NO_CHOICE: BootChoice = { good: undefined, trial: undefined };

export function choiceOf(variables: Environment): BootChoice {
  const slot = slotNamed(variables['try']);
  const tries = /^[0-9]$/.test(variables['tries'] ?? '') ? Number(variables['tries']) : 0;
  return { good: slotNamed(variables['good']), trial: slot === undefined ? undefined : { slot, tries } };
}

/** GRUB's `save_env` writes the variables that are there: all three always are. */
export function variablesOf({ good, trial }: BootChoice): Environment {
  return { good: good ?? '', try: trial?.slot ?? '', tries: String(trial?.tries ?? 0) };
}

function slotNamed(name: string | undefined): Slot | undefined {
  return SLOTS.find((slot) => slot === name);
}

/**
 * Of two ESPs: the first that says anything, and the fewer tries. GRUB counts on the one that it was started from, and a
 * power cut may leave the second as it was.
 */
export function both(first: BootChoice, second: BootChoice): BootChoice {
  if (first.good === undefined && first.trial === undefined) return second;
  const [own, other] = [first.trial, second.trial];
  if (own === undefined || other?.slot !== own.slot || other.tries >= own.tries) return first;
  return { ...first, trial: other };
}

/** The slot holds a release that has never been up: the next starts are its, two at the most. */
export function trying(choice: BootChoice, slot: Slot): BootChoice {
  return { ...choice, trial: { slot, tries: TRIES } };
}

/** The slot has proved good: it is started from now on. */
export function proven(slot: Slot): BootChoice {
  return { good: slot, trial: undefined };
}

/** The slot is about to be written: nothing starts it any more, and what it was is forgotten. */
export function withdrawn({ good, trial }: BootChoice, slot: Slot): BootChoice {
  return {
    good: good === slot ? undefined : good,
    trial: trial?.slot === slot ? undefined : trial,
  };
}

/** A start as GRUB carries it out (grub/config.ts has the same in GRUB's own words). */
export interface Start {
  /** Undefined: no slot can be started, the firmware goes on to its next device. */
  slot: Slot | undefined;
  /** Whether the slot is on trial. */
  isTrial: boolean;
  /** What GRUB has left in its block. */
  after: BootChoice;
}

/** @param there the slots that have kernel, initrd and boot.cfg on the ESP */
export function nextStart(choice: BootChoice, there: readonly Slot[]): Start {
  const { good, trial } = choice;
  if (trial !== undefined && trial.tries > 0 && trial.tries <= TRIES && there.includes(trial.slot)) {
    const after = { ...choice, trial: { ...trial, tries: trial.tries - 1 } };
    return { slot: trial.slot, isTrial: true, after };
  }
  const slot = [good, ...SLOTS].find((one) => one !== undefined && there.includes(one));
  return { slot, isTrial: false, after: choice };
}
