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
  #waiting: TimedEvent[] = [];
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

  /** For what comes in storms: to keep many events together costs little more than to keep one. */
  emitSoon(event: BladerootEvent): void {
    this.#waiting.push({ event, time: this.#now() });
    if (this.#waiting.length === MOST_TOGETHER) setImmediate(() => this.flush());
    this.#timer ??= setTimeout(() => this.flush(), SOON_MS);
  }

  /** Keeps and tells now what waits. */
  flush(): void {
    try {
      this.#keep();
    } catch (error) {
      this.#onLost(error);
    }
  }

  /** Returns what ends the subscription. */
  subscribe(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #keep(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    for (const recorded of this.#log.keep(waiting)) {
      for (const listener of this.#listeners) listener(recorded);
    }
  }
}

const SOON_MS = 200;
/** More at once would be a pause in which packets are lost. */
const MOST_TOGETHER = 1000;
