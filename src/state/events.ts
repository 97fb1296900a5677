import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { bootsOf } from '../events/boots.ts';
import {
  eventSchema,
  type BladerootEvent,
  type RecordedEvent,
  type MirrorReport,
  type UpdateReport,
  type UpReport,
} from '../events/catalogue.ts';
import type { EventLog, TimedEvent } from '../events/bus.ts';

/** What is kept. */
export const KEPT = {
  /** Boots of each machine. */
  boots: 50,
  /** Events of each machine, however few boots they are: one that asks and asks and is never answered is one boot. */
  events: 5000,
  /** Events of all machines together that are no blades: their MACs cost whoever makes them up nothing. */
  strangers: 20_000,
  milliseconds: 90 * 24 * 60 * 60_000,
};

/** After so many more events a machine's boots are counted again, and after so many of all machines the age is looked at. */
const COUNT_EVERY = 250;
const AGE_EVERY = 10_000;
/** So many machines are counted at once, and of so many is it known that their card is written down. */
const COUNTED_MACHINES = 20_000;

/**
 * The events that happened, the newest of them: see `KEPT`. Progress within a step goes by and is not kept: it bears the
 * number of the event before it, so that no number of a kept event is ever used twice, also not after a restart.
 */
export class EventRepository implements EventLog {
  readonly #database: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #insertCard: StatementSync;
  readonly #since: StatementSync;
  readonly #lastUp: StatementSync;
  readonly #lastUpdate: StatementSync;
  readonly #lastMirror: StatementSync;
  readonly #agentSince: StatementSync;
  readonly #added = new Map<string, number>();
  /** The blades of cards that are written down, as far as this is remembered. */
  readonly #cards = new Map<string, string>();
  #addedInAll = AGE_EVERY;
  #last: number;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#insert = database.prepare(
      'INSERT INTO events (id, time, type, blade, mac, event) VALUES (?, ?, ?, ?, ?, ?)',
    );
    this.#insertCard = database.prepare('INSERT OR IGNORE INTO cards (mac, blade) VALUES (?, ?)');
    this.#since = database.prepare('SELECT id, time, event FROM events WHERE id > ? ORDER BY id LIMIT ?');
    this.#lastUp = database.prepare(
      `SELECT id, time, event FROM events WHERE blade = ? AND type = 'blade.up' ORDER BY id DESC LIMIT 1`,
    );
    this.#lastUpdate = database.prepare(
      `SELECT id, time, event FROM events WHERE blade = ? AND type = 'blade.update' AND id > ?
         ORDER BY id DESC LIMIT 1`,
    );
    this.#lastMirror = database.prepare(
      `SELECT id, time, event FROM events WHERE blade = ? AND type = 'blade.mirror' ORDER BY id DESC LIMIT 1`,
    );
    this.#agentSince = database.prepare(
      `SELECT 1 FROM events WHERE blade = ? AND type = 'blade.step' AND id > ?
         AND json_extract(event, '$.step') = 'disk' LIMIT 1`,
    );
    this.#last = Number(database.prepare('SELECT max(id) AS last FROM events').get()?.['last'] ?? 0);
  }

  keep(events: readonly TimedEvent[]): RecordedEvent[] {
    const before = this.#last;
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const kept = events.map(({ event, time }) => ({ ...event, id: this.append(event, time), time }));
      this.#database.exec('COMMIT');
      return kept;
    } catch (error) {
      this.#last = before;
      this.#cards.clear();
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  /** One event; returns its number. */
  append(event: BladerootEvent, time: number): number {
    if (event.type === 'blade.step' && event.state === 'progress') return this.#last;
    const id = this.#last + 1;
    const blade = 'blade' in event ? (event.blade ?? null) : null;
    const mac = 'mac' in event ? (event.mac ?? null) : null;
    this.#insert.run(id, time, event.type, blade, mac, JSON.stringify(event));
    if (blade !== null && mac !== null) this.#noteCard(mac, blade);
    this.#last = id;
    this.#bound(blade ?? mac, time);
    return id;
  }

  #noteCard(mac: string, blade: string): void {
    if (this.#cards.get(mac) === blade) return;
    this.#insertCard.run(mac, blade);
    if (this.#cards.size > COUNTED_MACHINES) this.#cards.clear();
    this.#cards.set(mac, blade);
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

  /** What a blade said last of the release that it brings to its other slot, since an event. */
  lastUpdate(blade: string, since: number): UpdateReport | undefined {
    const row = this.#lastUpdate.get(blade, since);
    const event = row === undefined ? undefined : recorded(row);
    return event?.type === 'blade.update' ? event : undefined;
  }

  /** What a blade has last said of its mirror; undefined where it has none. */
  lastMirror(blade: string): MirrorReport | undefined {
    const row = this.#lastMirror.get(blade);
    const event = row === undefined ? undefined : recorded(row);
    return event?.type === 'blade.mirror' ? event : undefined;
  }

  /** Whether a blade has had its disk in the agent's hands since an event: nobody knows then what is on it. */
  agentSince(blade: string, since: number): boolean {
    return this.#agentSince.get(blade, since) !== undefined;
  }

  /**
   * All that is kept of one machine, by its name as a blade or by its MAC, oldest first; also from before it had a name.
   * What was of no blade is looked through for its MAC: it is kept in bounds, and an index of it would cost every event.
   */
  ofMachine(machine: string): RecordedEvent[] {
    return this.#database
      .prepare(
        `WITH names (blade) AS (SELECT :machine UNION SELECT blade FROM cards WHERE mac = :machine),
           macs (mac) AS (SELECT :machine UNION SELECT mac FROM cards WHERE blade = :machine)
         SELECT id, time, event FROM events WHERE blade IN names OR (blade IS NULL AND mac IN macs)
         ORDER BY id`,
      )
      .all({ machine })
      .map(recorded);
  }

  /** Removes what `KEPT` does not cover, now and then. */
  #bound(machine: string | null, now: number): void {
    if (++this.#addedInAll >= AGE_EVERY) {
      this.#addedInAll = 0;
      this.#removeOld(now);
    }
    if (machine === null) return;
    if (this.#added.size > COUNTED_MACHINES) this.#added.clear();
    const added = (this.#added.get(machine) ?? 0) + 1;
    this.#added.set(machine, added % COUNT_EVERY);
    if (added === COUNT_EVERY) this.#removeBoots(machine);
  }

  /** A blade's last word that it is up stays for ever: what it boots next hangs on it. */
  #removeOld(now: number): void {
    const remove = this.#database.prepare(
      `DELETE FROM events WHERE id < (SELECT id FROM events WHERE time >= ? ORDER BY id LIMIT 1)
         AND id < (SELECT max(id) FROM events)
         AND id NOT IN (SELECT max(id) FROM events WHERE type = 'blade.up' GROUP BY blade)`,
    );
    remove.run(now - KEPT.milliseconds);
    this.#database
      .prepare(
        `DELETE FROM events WHERE blade IS NULL AND mac IS NOT NULL AND id <
           (SELECT id FROM events WHERE blade IS NULL AND mac IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET ?)`,
      )
      .run(KEPT.strangers);
  }

  #removeBoots(machine: string): void {
    const events = this.ofMachine(machine);
    const oldest = bootsOf(events).at(-KEPT.boots)?.events[0]?.id ?? 0;
    const first = Math.max(oldest, events.at(-KEPT.events)?.id ?? 0);
    this.#database
      .prepare(
        `DELETE FROM events WHERE (blade = :machine OR (blade IS NULL AND mac = :machine)) AND id < :first
           AND id NOT IN (SELECT id FROM events WHERE type = 'blade.up' AND blade = :machine ORDER BY id DESC LIMIT 1)`,
      )
      .run({ machine, first });
  }
}

function recorded(row: Record<string, unknown>): RecordedEvent {
  const event = eventSchema.parse(JSON.parse(String(row['event'])));
  return { ...event, id: Number(row['id']), time: Number(row['time']) };
}
