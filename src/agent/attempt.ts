import { setTimeout as sleep } from 'node:timers/promises';
import { describeError } from '../errors.ts';
import type { BootStep } from '../events/catalogue.ts';
import type { Reporter } from './reporter.ts';

/** After the last of these a step is given up: a person is needed. */
const DELAYS_MS = [1000, 2000, 4000, 8000];

/**
 * Does a step, and does it again when it fails: what is wrong is said each time, and the waits grow, each longer or
 * shorter by chance so that a fleet that failed together does not come back together.
 * @param wait for so many milliseconds
 * @throws what the last try threw
 */
export async function attempt<T>(
  step: BootStep,
  reporter: Reporter,
  work: () => Promise<T>,
  wait: (ms: number) => Promise<void> = sleep,
): Promise<T> {
  for (const delay of DELAYS_MS) {
    try {
      return await work();
    } catch (error) {
      const pause = delay * (0.5 + Math.random());
      reporter.failed(step, `${describeError(error)} (trying again in ${(pause / 1000).toFixed(1)} s)`);
      await wait(pause);
    }
  }
  try {
    return await work();
  } catch (error) {
    reporter.failed(step, `${describeError(error)} (given up)`);
    throw error;
  }
}
