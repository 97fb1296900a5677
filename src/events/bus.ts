import type { BladerootEvent, RecordedEvent } from './catalogue.ts';

export type EventListener = (event: RecordedEvent) => void;

/** `time` in milliseconds since 1970. */
export interface TimedEvent {
  event: BladerootEvent;
  time: number;
}

/** Where events are kept: all that are given at once, or none of them. They come back with their numbers. */
export interface EventLog {
  keep(events: readonly TimedEvent[]): RecordedEvent[];
}

/** One stream of all that happens: each event gets its number and time, is kept, and goes to whoever listens. */
export class EventBus {
  readonly #log: EventLog;
  readonly #now: () => number;
  readonly #onLost: (error: unknown) => void;
  readonly #listeners = new Set<EventListener>();
  readonly #waiting: TimedEvent[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** `onLost` is told why events that waited could not be kept; without it, that is thrown. */
  constructor(
    log: EventLog,
    now: () => number = Date.now,
    onLost: (error: unknown) => void = (error) => {
      throw error;
    },
  ) {
    this.#log = log;
    this.#now = now;
    this.#onLost = onLost;
  }

  /** @throws what the log throws; then nobody is told */
  emit(event: BladerootEvent): void {
    this.#waiting.push({ event, time: this.#now() });
    this.#keep();
  }

  /** For what comes in storms: to keep many events together costs less than to keep each. */
  emitSoon(event: BladerootEvent): void {
    this.#waiting.push({ event, time: this.#now() });
    if (this.#waiting.length === MOST_TOGETHER) setImmediate(() => this.#keepSome());
    this.#timer ??= setTimeout(() => this.#keepSome(), SOON_MS);
  }

  /** Keeps and tells now what waits. */
  flush(): void {
    while (this.#waiting.length > 0) {
      try {
        this.#keep();
      } catch (error) {
        this.#onLost(error);
      }
    }
  }

  /** Returns what ends the subscription. */
  subscribe(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** As `flush`, with turns for all else between. */
  #keepSome(): void {
    try {
      this.#keep(MOST_TOGETHER);
    } catch (error) {
      this.#onLost(error);
    }
    if (this.#waiting.length > 0) setImmediate(() => this.#keepSome());
  }

  #keep(most = Infinity): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.length === 0) return;
    for (const recorded of this.#log.keep(this.#waiting.splice(0, most))) {
      for (const listener of this.#listeners) listener(recorded);
    }
  }
}

const SOON_MS = 200;
/**
 * Some thousandths of a second. What has come meanwhile is answered all at once, and that is more than a relay, whose
 * buffer is Linux's usual one, has room for after a longer pause.
 */
const MOST_TOGETHER = 100;
