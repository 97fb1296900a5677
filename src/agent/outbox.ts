/** Reports on their way to the root: in order, again and again until it takes them, and not without bound. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describeError, errorCode } from '../errors.ts';
import type { Report } from '../events/catalogue.ts';

/** More are not kept: the oldest go, as the last ones say where a blade stands. */
const MOST_KEPT = 200;
/** Between two tries, in milliseconds. */
const PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

export interface OutboxOptions {
  /** Rejects when the root does not take it; with the code `REPORT_REFUSED` when it never will. */
  send(report: Report): Promise<void>;
  /** What is to be known of it before the machine. */
  say(line: string): void;
}

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #reports: (() => Report)[] = [];
  readonly #hurry = new AbortController();
  #sending: Promise<void> | undefined;
  #isOpen = false;
  #isClosed = false;
  #dropped = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Whether all that was put in has been taken. */
  get isEmpty(): boolean {
    return this.#reports.length === 0;
  }

  /** @param make is called when it is sent: what was put in before the root was known is told in the blade's name */
  put(make: () => Report): void {
    if (this.#isClosed) return;
    this.#reports.push(make);
    if (this.#reports.length > MOST_KEPT) {
      this.#reports.shift();
      this.#dropped++;
    }
    this.#go();
  }

  /** From here on it is sent. */
  open(): void {
    this.#isOpen = true;
    this.#go();
  }

  /** Waits until everything is taken, for so many milliseconds at most; what is then left is dropped. */
  async close(withinMs: number): Promise<void> {
    this.#hurry.abort();
    const deadline = new AbortController();
    const late = sleep(withinMs, undefined, { signal: deadline.signal }).catch(() => undefined);
    await Promise.race([this.#sending, late]);
    deadline.abort();
    this.#isClosed = true;
    const lost = this.#dropped + (this.#isOpen ? this.#reports.length : 0);
    if (lost > 0) this.#options.say(`${lost} reports did not reach the root`);
  }

  #go(): void {
    if (!this.#isOpen || this.isEmpty) return;
    this.#sending ??= this.#sendAll().finally(() => (this.#sending = undefined));
  }

  async #sendAll(): Promise<void> {
    for (let failures = 0; !this.#isClosed;) {
      const [make] = this.#reports;
      if (make === undefined) return;
      try {
        await this.#options.send(make());
        if (failures > 0) this.#options.say('the root takes reports again');
        failures = 0;
      } catch (error) {
        const isRefused = errorCode(error) === 'REPORT_REFUSED';
        if (isRefused || failures === 0)
          this.#options.say(`the root did not take a report: ${describeError(error)}`);
        if (!isRefused) {
          await this.#pause(failures++);
          continue;
        }
      }
      // While it was sent, it may have become one too many.
      if (this.#reports[0] === make) this.#reports.shift();
    }
  }

  /** Longer or shorter by chance, so that a rack does not come back in step; short when the end is near. */
  async #pause(failures: number): Promise<void> {
    const { signal } = this.#hurry;
    const full =
      Math.min(PAUSE_MS * 2 ** Math.min(failures, 10), LONGEST_PAUSE_MS) * (0.75 + Math.random() / 2);
    if (signal.aborted) await sleep(PAUSE_MS);
    else await sleep(full, undefined, { signal }).catch(() => undefined);
  }
}
