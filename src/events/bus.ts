import type { BladerootEvent, RecordedEvent } from './catalogue.ts';

export type EventListener = (event: RecordedEvent) => void;

/** Where events are kept; what it returns is the event's number. */
export interface EventLog {
  append(event: BladerootEvent, time: number): number;
}

/** One stream of all that happens: each event gets its number and time, is kept, and goes to whoever listens. */
export class EventBus {
  readonly #log: EventLog;
  readonly #now: () => number;
  readonly #listeners = new Set<EventListener>();

  constructor(log: EventLog, now: () => number = Date.now) {
    this.#log = log;
    this.#now = now;
  }

  emit(event: BladerootEvent): void {
    const time = this.#now();
    const recorded: RecordedEvent = { ...event, id: this.#log.append(event, time), time };
    for (const listener of this.#listeners) listener(recorded);
  }

  /** Returns what ends the subscription. */
  subscribe(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
