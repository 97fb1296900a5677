import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { eventSchema, type BladerootEvent, type RecordedEvent, type UpReport } from '../events/catalogue.ts';
import type { EventLog } from '../events/bus.ts';

/**
 * The events that happened. Progress within a step goes by and is not kept: it bears the number of the event before it, so
 * that no number of a kept event is ever used twice, also not after a restart.
 */
export class EventRepository implements EventLog {
  readonly #insert: StatementSync;
  readonly #since: StatementSync;
  readonly #lastUp: StatementSync;
  #last: number;

  constructor(database: DatabaseSync) {
    this.#insert = database.prepare(
      'INSERT INTO events (id, time, type, blade, event) VALUES (?, ?, ?, ?, ?)',
    );
    this.#since = database.prepare('SELECT id, time, event FROM events WHERE id > ? ORDER BY id LIMIT ?');
    this.#lastUp = database.prepare(
      `SELECT id, time, event FROM events WHERE blade = ? AND type = 'blade.up' ORDER BY id DESC LIMIT 1`,
    );
    this.#last = Number(database.prepare('SELECT max(id) AS last FROM events').get()?.['last'] ?? 0);
  }

  append(event: BladerootEvent, time: number): number {
    if (event.type === 'blade.step' && event.state === 'progress') return this.#last;
    const id = this.#last + 1;
    const blade = 'blade' in event ? (event.blade ?? null) : null;
    this.#insert.run(id, time, event.type, blade, JSON.stringify(event));
    this.#last = id;
    return id;
  }

  /** The next events with a number above `id`, oldest first, `limit` at most. */
  since(id: number, limit = 1000): RecordedEvent[] {
    return this.#since.all(id, limit).map(recorded);
  }

  /** What a blade said when it last came up. */
  lastUp(blade: string): (UpReport & { id: number; time: number }) | undefined {
    const row = this.#lastUp.get(blade);
    const event = row === undefined ? undefined : recorded(row);
    return event?.type === 'blade.up' ? event : undefined;
  }
}

function recorded(row: Record<string, unknown>): RecordedEvent {
  const event = eventSchema.parse(JSON.parse(String(row['event'])));
  return { ...event, id: Number(row['id']), time: Number(row['time']) };
}
