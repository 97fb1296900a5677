/** What the agent tells: on the console for whoever stands before the machine, and to the root. */
import { sendReport } from '../blade/report.ts';
import type { BootStep } from '../events/catalogue.ts';
import { Outbox } from './outbox.ts';

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
  readonly #outbox: Outbox;
  #target: ReportTarget | undefined;
  #lastProgress = 0;

  constructor(boot: string, print: (line: string) => void) {
    this.#boot = boot;
    this.#print = print;
    this.#outbox = new Outbox({
      send: async (report) => await sendReport(this.#target?.root ?? '', report),
      say: print,
    });
  }

  /** From here on reports are sent; those made before are sent first. */
  setTarget(target: ReportTarget): void {
    this.#target = target;
    this.#outbox.open();
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
    if (this.#outbox.isEmpty) this.#report(step, { state: 'progress', done, total });
  }

  done(step: BootStep, message?: string): void {
    if (message !== undefined) this.#print(message);
    this.#report(step, { state: 'done', ...(message === undefined ? {} : { message }) });
  }

  failed(step: BootStep, message: string): void {
    this.#print(`${step} failed: ${message}`);
    this.#report(step, { state: 'failed', message: message.slice(0, 2000) });
  }

  /** Waits until the root has taken what was reported; not for long, and what is then left is dropped. */
  async flush(): Promise<void> {
    await this.#outbox.close(FLUSH_WITHIN_MS);
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
    this.#outbox.put(() => ({
      type: 'blade.step',
      blade: this.#target?.blade ?? '',
      boot: this.#boot,
      step,
      ...rest,
    }));
  }
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
}
