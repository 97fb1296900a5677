import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { BladerootError } from '../errors.ts';

/** The database's name in the state directory. */
export const DATABASE = 'state.db';

/** Each entry brings a database from the version of its index to the next; entries are never changed once released. */
const MIGRATIONS = [
  `CREATE TABLE events (
     id INTEGER PRIMARY KEY,
     time INTEGER NOT NULL,       -- milliseconds since 1970
     type TEXT NOT NULL,
     blade TEXT,
     event TEXT NOT NULL          -- JSON, as in events/catalogue.ts
   );
   CREATE INDEX events_of_blade ON events (blade, id);`,
  `CREATE TABLE leases (
     address TEXT PRIMARY KEY,
     mac TEXT NOT NULL,           -- empty: declined, in quarantine
     network TEXT NOT NULL,
     seconds INTEGER NOT NULL,
     ended INTEGER NOT NULL,      -- 1: this program saw it end, or it was given back
     granted INTEGER NOT NULL     -- milliseconds since 1970; for people and for their order
   ) WITHOUT ROWID;`,
  `ALTER TABLE events ADD COLUMN mac TEXT;
   UPDATE events SET mac = json_extract(event, '$.mac');
   CREATE INDEX events_of_mac ON events (mac, id);`,
  `CREATE TABLE machines (
     mac TEXT PRIMARY KEY,        -- of the card that it booted from
     first_seen INTEGER NOT NULL, -- milliseconds since 1970
     last_seen INTEGER NOT NULL,
     blade TEXT UNIQUE,           -- NULL while it is pending
     machine TEXT NOT NULL        -- JSON, as in fleet/machine.ts
   ) WITHOUT ROWID;`,
  // The IPv4 address from which it said hello.
  `ALTER TABLE machines ADD COLUMN address TEXT;`,
  `CREATE TABLE next_boots (
     blade TEXT PRIMARY KEY,
     task TEXT NOT NULL,          -- deploy or rescue
     time INTEGER NOT NULL        -- milliseconds since 1970
   ) WITHOUT ROWID;`,
  // Instead of an index of all events by MAC, which costs a storm more than the events themselves: which blades a card was.
  `CREATE TABLE cards (
     mac TEXT NOT NULL,
     blade TEXT NOT NULL,
     PRIMARY KEY (mac, blade)
   ) WITHOUT ROWID;
   CREATE INDEX cards_of_blade ON cards (blade, mac);
   INSERT INTO cards SELECT DISTINCT mac, blade FROM events WHERE mac IS NOT NULL AND blade IS NOT NULL;
   DROP INDEX events_of_mac;
   CREATE INDEX events_up ON events (blade, id) WHERE type = 'blade.up';`,
];

/**
 * Pages of 4 KiB after which SQLite carries the log into the file, which is a pause: four times its own measure, since a
 * storm changes the same pages again and again, and each is carried once.
 */
const LOG_PAGES = 4000;

/**
 * Opens the root's database in the state directory, `state.db`. All that stands in it can be had again from the
 * blades, so a power cut may cost the last events (`synchronous=NORMAL`), never the file.
 * @throws BladerootError `STATE_NEWER` when a newer bladeroot has written it.
 */
export function openDatabase(stateDirectory: string): DatabaseSync {
  mkdirSync(stateDirectory, { recursive: true });
  const path = join(stateDirectory, DATABASE);
  const database = new DatabaseSync(path);
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000;');
  database.exec(`PRAGMA wal_autocheckpoint = ${LOG_PAGES};`);
  const version = versionOf(database, path);
  for (const [index, sql] of MIGRATIONS.entries()) {
    if (index >= version) database.exec(`BEGIN; ${sql} PRAGMA user_version = ${index + 1}; COMMIT;`);
  }
  return database;
}

/**
 * The same for who only looks, also while a root is at work on it; undefined where no root has been at work yet.
 * @throws BladerootError `STATE_NEWER`, `STATE_OLDER`
 */
export function openDatabaseToRead(stateDirectory: string): DatabaseSync | undefined {
  const path = join(stateDirectory, DATABASE);
  if (!existsSync(path)) return undefined;
  const database = new DatabaseSync(path, { readOnly: true });
  database.exec('PRAGMA busy_timeout = 5000;');
  if (versionOf(database, path) === MIGRATIONS.length) return database;
  database.close();
  throw new BladerootError('STATE_OLDER', `${path} was written by an older bladeroot`, {
    hint: 'start `bladeroot serve` of this version once: it brings the file up to date',
  });
}

/** Closes the database where it is too new. */
function versionOf(database: DatabaseSync, path: string): number {
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0);
  if (version <= MIGRATIONS.length) return version;
  database.close();
  throw new BladerootError('STATE_NEWER', `${path} was written by a newer bladeroot`, {
    hint: 'install that version, or move the file away: it is made again from what the blades report',
  });
}
