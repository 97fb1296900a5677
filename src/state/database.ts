import { mkdirSync } from 'node:fs';
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
];

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
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0);
  if (version > MIGRATIONS.length) {
    database.close();
    throw new BladerootError('STATE_NEWER', `${path} was written by a newer bladeroot`, {
      hint: 'install that version, or move the file away: it is made again from what the blades report',
    });
  }
  for (const [index, sql] of MIGRATIONS.entries()) {
    if (index >= version) database.exec(`BEGIN; ${sql} PRAGMA user_version = ${index + 1}; COMMIT;`);
  }
  return database;
}
