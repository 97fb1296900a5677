/** What a running blade does for as long as it runs: it looks for releases, and has each brought into its other slot. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describeError } from '../errors.ts';
import { run } from '../system/run.ts';
import type { Esps } from './grub/esp.ts';
import { lookForUpdate, type LookOptions } from './look-for-update.ts';

/** Between two looks, in milliseconds; longer and longer after a failure. */
const EVERY_MS = 60_000;
const LONGEST_MS = 60 * 60_000;

export interface WatchOptions extends Omit<LookOptions, 'deploy' | 'esp'> {
  /** Where they are mounted now: a disk of a mirror may be replaced meanwhile. */
  bootAreas(): Promise<Esps>;
  /** The command that updates this blade, a program and its arguments. */
  update: readonly string[];
  onStep(step: string): void;
  wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/**
 * Goes on until it is aborted. The looks of a fleet's blades are spread by chance. The update is a process of its own, which
 * gets what time of the processor and the disk nobody else wants, and gives its memory back.
 */
export async function watchReleases(options: WatchOptions): Promise<never> {
  const { signal, onStep, wait = pause } = options;
  let last = '';
  for (let every = EVERY_MS; ;) {
    await wait(every * (0.5 + Math.random()), signal);
    try {
      const { plan } = await lookForUpdate({
        ...options,
        esp: await options.bootAreas(),
        deploy: false,
      });
      if (plan.action === 'prepare' || plan.action === 'switch') await runUpdate(options);
      every = EVERY_MS;
      last = '';
    } catch (error) {
      signal.throwIfAborted();
      // Said once, not every minute for as long as no root is there.
      const said = describeError(error);
      if (said !== last) onStep(`not updated: ${said}`);
      last = said;
      every = Math.min(2 * every, LONGEST_MS);
    }
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal });
}

async function runUpdate({ update, signal, onStep }: WatchOptions): Promise<void> {
  let line = '';
  await run('nice', ['-n', '19', 'ionice', '-c', '3', ...update], {
    signal,
    onStderr: (text) => {
      const lines = (line + text).split('\n');
      line = lines.pop() ?? '';
      for (const each of lines) onStep(each);
    },
  });
}
