/** A machine without a name says hello to the root, and waits until somebody has given it one. Nothing is written meanwhile. */
import type { KeyObject } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { describeError } from '../errors.ts';
import { identityOf, type Machine } from '../fleet/machine.ts';
import { fetchRelease } from '../release/fetch-release.ts';
import { identifyBlade } from '../release/identify.ts';
import type { FoundRelease, UnclaimedRelease } from './find-release.ts';
import { waitingScreen } from './waiting-screen.ts';

/** Between two questions, in milliseconds; longer when nobody answers. */
const EVERY_MS = 2000;
const LONGEST_MS = 30_000;
const ANSWER_TIMEOUT_MS = 5000;
/** Whoever has just plugged in a screen is told within this time, in milliseconds. */
const SHOW_EVERY_MS = 30_000;

const answerSchema = z.object({
  release: z.number(),
  blade: z.string().optional(),
  refused: z.string().optional(),
});

export interface AwaitOptions {
  machine: Machine;
  /** What was found when it was not known yet. */
  unclaimed: UnclaimedRelease;
  /** From the command line. */
  roots: readonly string[];
  publicKey: KeyObject;
  /** Shows a whole screen. */
  show(screen: string): void;
  /** For so many milliseconds. */
  wait?: (ms: number) => Promise<void>;
}

/**
 * Asks the root until its release has a blade that this machine is. When the root does not answer, the others that are
 * known are asked in turn, those of the command line and every blade, as each of them may have become the root.
 */
export async function awaitAdoption(options: AwaitOptions): Promise<FoundRelease> {
  const { machine, unclaimed, publicKey, wait = sleep } = options;
  const roots = knownRoots(options);
  let read = { root: unclaimed.root, sequence: unclaimed.release.statement.sequence };
  let shown = { status: '', at: -Infinity };
  const show = (status: string): void => {
    const now = performance.now();
    if (shown.status === status && now - shown.at < SHOW_EVERY_MS) return;
    shown = { status, at: now };
    options.show(waitingScreen(machine, unclaimed.release.statement.fleet, status));
  };
  for (let failures = 0; ;) {
    const root = roots[failures % roots.length] ?? unclaimed.root;
    try {
      const { release: sequence, blade, refused } = await sayHello(root, machine);
      const isNews = blade !== undefined || sequence !== read.sequence || root !== read.root;
      // Of a machine that has another one's serial number, the release alone would say that it is that one.
      if (refused === undefined && isNews) {
        const found = await claimed(root, publicKey, machine);
        if (found !== undefined) return found;
        read = { root, sequence };
      }
      failures = 0;
      // Whoever answers is asked from here on.
      roots.sort((a, b) => Number(b === root) - Number(a === root));
      show(refused ?? `${root} knows of it`);
    } catch (error) {
      failures++;
      show(`${root} was asked in vain: ${describeError(error)}`);
    }
    const pause = Math.min(EVERY_MS * 2 ** Math.min(failures, 10), LONGEST_MS);
    // Longer or shorter by chance, so that a rack that was switched on together does not ask in step.
    await wait(pause * (0.75 + Math.random() / 2));
  }
}

/** The signed release has the last word: what a root answers is only why it is read. */
async function claimed(
  root: string,
  publicKey: KeyObject,
  machine: Machine,
): Promise<FoundRelease | undefined> {
  const release = await fetchRelease(root, publicKey);
  const blade = identifyBlade(release.statement.blades, identityOf(machine));
  return blade === undefined ? undefined : { root, release, blade };
}

/** @throws when the root does not answer, or refuses */
export async function sayHello(root: string, machine: Machine): Promise<z.infer<typeof answerSchema>> {
  const response = await fetch(`${root}/api/v1/machines`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(machine),
    signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
  });
  if (!response.ok)
    throw new Error(`it answers ${response.status}: ${(await response.text()).slice(0, 200)}`);
  return answerSchema.parse(await response.json());
}

function knownRoots({ unclaimed: { root, release }, roots }: AwaitOptions): string[] {
  const { port } = new URL(root);
  const blades = release.statement.blades.map(({ address }) => `http://${address}:${port}`);
  return [...new Set([root, ...roots, ...blades])];
}
