/** What the agent tells: on the console for whoever stands before the machine, and to the root. */
import { setTimeout as sleep } from 'node:timers/promises';
import { sendReport } from '../blade/report.ts';
import { describeError } from '../errors.ts';
import type { BootStep, Report } from '../events/catalogue.ts';

/** At most so often is progress told, in milliseconds. */
const PROGRESS_EVERY_MS = 500;
/** So long does the end wait for a root that does not take the last reports. */
const FLUSH_WITHIN_MS = 5000;

export interface ReportTarget {
  root: string;
  blade: string;
}

export class Reporter {
  readonly #print: (line: string) => void;
  readonly #boot: string;
  #target: ReportTarget | undefined;
  #unsent: (() => Report)[] = [];
  #sending: Promise<void> = Promise.resolve();
  #waiting = 0;
  #closed = false;
  #lastProgress = 0;

  constructor(boot: string, print: (line: string) => void) {
    this.#boot = boot;
    this.#print = print;
  }

  /** From here on reports are sent; those made before are sent first. */
  setTarget(target: ReportTarget): void {
    this.#target = target;
    for (const report of this.#unsent.splice(0)) this.#send(report);
  }

  /** For the console alone. */
  say(line: string): void {
    this.#print(line);
  }

  started(step: BootStep, message: string): void {
    this.#print(message);
    this.#report(step, { state: 'started', message });
  }

  /** @param done and @param total in bytes, @param rate in bytes per second */
  progress(step: BootStep, done: number, total: number, rate: number): void {
    const now = performance.now();
    if (now - this.#lastProgress < PROGRESS_EVERY_MS && done < total) return;
    this.#lastProgress = now;
    const percent = total === 0 ? 100 : Math.floor((100 * done) / total);
    this.#print(
      `${step}: ${percent} %, ${megabytes(done)} of ${megabytes(total)} MB, ${megabytes(rate)} MB/s`,
    );
    // The next one says more: progress does not queue up before a root that is slow or dead.
    if (this.#waiting === 0) this.#report(step, { state: 'progress', done, total });
  }

  done(step: BootStep, message?: string): void {
    if (message !== undefined) this.#print(message);
    this.#report(step, { state: 'done', ...(message === undefined ? {} : { message }) });
  }

  failed(step: BootStep, message: string): void {
    this.#print(`${step} failed: ${message}`);
    this.#report(step, { state: 'failed', message: message.slice(0, 2000) });
  }

  /** Waits until what has been reported is sent, or was tried; not for long, and what is then unsent is dropped. */
  async flush(): Promise<void> {
    const deadline = new AbortController();
    const late = sleep(FLUSH_WITHIN_MS, undefined, { signal: deadline.signal }).catch(() => undefined);
    await Promise.race([this.#sending, late]);
    deadline.abort();
    this.#closed = true;
  }

  #report(
    step: BootStep,
    rest: {
      state: 'started' | 'progress' | 'done' | 'failed';
      message?: string;
      done?: number;
      total?: number;
    },
  ): void {
    const make = (): Report => ({
      type: 'blade.step',
      blade: this.#target?.blade ?? '',
      boot: this.#boot,
      step,
      ...rest,
    });
    if (this.#target === undefined) this.#unsent.push(make);
    else this.#send(make);
  }

  #send(make: () => Report): void {
    const target = this.#target;
    if (target === undefined) return;
    const before = this.#sending;
    this.#waiting++;
    this.#sending = (async () => {
      await before;
      try {
        if (this.#closed) return;
        await sendReport(target.root, make());
      } catch (error) {
        this.#print(`the root did not take a report: ${describeError(error)}`);
      } finally {
        this.#waiting--;
      }
    })();
  }
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
}
