/** What became of each machine, put together from the events of whoever is root, and from the lab's own switches. */
import { stationOf, STATIONS as BOOT_STATIONS } from '../../src/events/boots.ts';
import type { BootStep, RecordedEvent } from '../../src/events/catalogue.ts';

/** What the timeline shows: the stations of a boot, after the lab's own switch. */
export const STATIONS = ['power on', ...BOOT_STATIONS] as const;

export type Station = (typeof STATIONS)[number];

/** One boot of one machine. Times are milliseconds since 1970. */
export interface Boot {
  blade: string;
  /** When it reached each station that it has reached. */
  reached: Partial<Record<Station, number>>;
  /** What it does now, in words. */
  step: string;
  /** Of the image, in bytes; there while it is fetched. */
  fetched?: { done: number; total: number; bytesPerSecond: number };
  failures: { step: BootStep; message: string }[];
  up?: Extract<RecordedEvent, { type: 'blade.up' }>;
}

export class Timeline {
  readonly boots: Boot[] = [];
  readonly #listeners = new Set<() => void>();

  /** Begins a new boot of a machine. */
  powerOn(blade: string): Boot {
    const boot: Boot = { blade, reached: { 'power on': Date.now() }, step: 'power on', failures: [] };
    this.boots.push(boot);
    this.#changed();
    return boot;
  }

  /** The lab has seen for itself that a machine serves, while there was no root to tell. */
  serves(boot: Boot): void {
    boot.reached['services up'] = Date.now();
    boot.step = 'serves, without a root';
    this.#changed();
  }

  /** The newest boot of each machine, in the order in which they were first switched on. */
  latest(): Boot[] {
    return [...new Map(this.boots.map((boot) => [boot.blade, boot])).values()];
  }

  record(event: RecordedEvent): void {
    if (!('blade' in event) || event.blade === undefined) return;
    const boot = this.boots.findLast(({ blade }) => blade === event.blade);
    if (boot === undefined) return;
    apply(boot, event);
    this.#changed();
  }

  /** Resolves once `reached` gives something; `signal` ends the waiting with its reason. */
  async until<T>(reached: () => T | undefined, signal: AbortSignal): Promise<T> {
    return await new Promise<T>((resolve, reject) => {
      const look = (): void => {
        const value = reached();
        if (value === undefined) return;
        end();
        resolve(value);
      };
      const abort = (): void => {
        end();
        reject(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)));
      };
      const end = (): void => {
        this.#listeners.delete(look);
        signal.removeEventListener('abort', abort);
      };
      this.#listeners.add(look);
      signal.addEventListener('abort', abort, { once: true });
      if (signal.aborted) abort();
      else look();
    });
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

function apply(boot: Boot, event: RecordedEvent): void {
  const station = stationOf(event);
  // The loader, the kernel and the blade ask again later; only the firmware's first word is a station.
  if (station !== undefined && !(station === 'DHCP' && boot.reached.loader !== undefined)) {
    boot.reached[station] ??= event.time;
    boot.step = station;
  }
  if (event.type === 'boot.script') boot.step = event.message ?? 'script';
  if (event.type === 'blade.up') {
    boot.up = event;
    boot.step = event.services === 'running' ? 'up' : `up (${event.services})`;
  }
  if (event.type === 'blade.step') applyStep(boot, event);
}

function applyStep(boot: Boot, event: Extract<RecordedEvent, { type: 'blade.step' }>): void {
  const { step, state, done, total, time } = event;
  if (state === 'failed') boot.failures.push({ step, message: event.message ?? '' });
  boot.step = state === 'failed' ? `${step} failed` : step;
  if (step === 'fetch' && done !== undefined && total !== undefined) {
    const seconds = (time - (boot.reached.fetch ?? time)) / 1000;
    boot.fetched = { done, total, bytesPerSecond: seconds > 0 ? done / seconds : 0 };
  }
}
