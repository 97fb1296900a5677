import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { bootsOf } from '../events/boots.ts';
import type { BladerootEvent } from '../events/catalogue.ts';
import { folderOf } from '../fleet/folder.fixture.ts';
import { openDatabase } from './database.ts';
import { EventRepository, KEPT } from './events.ts';

const KERNEL: BladerootEvent = { type: 'boot.kernel', blade: 'web01' };
const PROGRESS: BladerootEvent = {
  type: 'blade.step',
  blade: 'web01',
  boot: 'b1',
  step: 'fetch',
  state: 'progress',
  done: 1,
  total: 9,
};
const up = (blade: string, release: number): BladerootEvent => ({
  type: 'blade.up',
  blade,
  boot: 'b1',
  release,
  slot: 'a',
  from: 'disk',
  services: 'running',
});

test('numbers grow by one, and go on growing after a restart', async (t) => {
  const state = await folderOf(t, {});
  for (const expected of [
    [1, 2],
    [3, 4],
  ]) {
    const database = openDatabase(state);
    const events = new EventRepository(database);
    assert.deepEqual([events.append(KERNEL, 10), events.append(KERNEL, 11)], expected);
    database.close();
  }
  const database = openDatabase(state);
  assert.deepEqual(
    new EventRepository(database).since(2).map(({ id, time, type }) => [id, time, type]),
    [
      [3, 10, 'boot.kernel'],
      [4, 11, 'boot.kernel'],
    ],
  );
  database.close();
});

test('progress is not kept, and who has seen it misses nothing after a restart', async (t) => {
  const state = await folderOf(t, {});
  const before = openDatabase(state);
  const events = new EventRepository(before);
  events.append(KERNEL, 1);
  const seen = [events.append(PROGRESS, 2), events.append(PROGRESS, 3)].at(-1) ?? 0;
  assert.equal(events.since(0).length, 1);
  before.close();

  const database = openDatabase(state);
  const again = new EventRepository(database);
  again.append(up('web01', 2), 4);
  assert.deepEqual(
    again.since(seen).map(({ type }) => type),
    ['blade.up'],
  );
  database.close();
});

test('an event comes back as it was, steps that are done among them', async (t) => {
  const database = openDatabase(await folderOf(t, {}));
  const events = new EventRepository(database);
  const all: BladerootEvent[] = [
    { type: 'dhcp.unknown', mac: '52:54:00:77:00:99' },
    { ...PROGRESS, state: 'done', message: 'grüß "x"' },
    { type: 'root.started', url: 'http://10.77.0.1:8067', release: 1 },
  ];
  for (const event of all) events.append(event, 5);
  assert.deepEqual(
    events.since(0),
    all.map((event, index) => ({ ...event, id: index + 1, time: 5 })),
  );
  database.close();
});

test('events come by pages: the oldest first, as many as are asked for', async (t) => {
  const database = openDatabase(await folderOf(t, {}));
  const events = new EventRepository(database);
  for (let time = 1; time <= 5; time++) events.append(KERNEL, time);
  assert.deepEqual(
    events.since(1, 2).map(({ id }) => id),
    [2, 3],
  );
  assert.deepEqual(events.since(5), []);
  database.close();
});

test('events are kept together or not at all, and the next ones take their numbers then', async (t) => {
  const database = openDatabase(await folderOf(t, {}));
  const events = new EventRepository(database);
  const two = [
    { event: KERNEL, time: 1 },
    { event: up('web01', 1), time: 2 },
  ];
  assert.deepEqual(events.keep(two), events.since(0));
  database.exec(`CREATE TRIGGER full BEFORE INSERT ON events WHEN new.type = 'blade.up'
    BEGIN SELECT RAISE(FAIL, 'the disk is full'); END`);
  assert.throws(() => events.keep(two), /the disk is full/);
  assert.equal(events.since(0).length, 2);
  database.exec('DROP TRIGGER full');
  assert.deepEqual(
    events.keep(two).map(({ id }) => id),
    [3, 4],
  );
  database.close();
});

test('agentSince says whether the agent has begun with the disk of that very blade since', async (t) => {
  const database = openDatabase(await folderOf(t, {}));
  const events = new EventRepository(database);
  const disk = { ...PROGRESS, step: 'disk', state: 'started' } as const;
  events.append(disk, 1);
  const came = events.append(up('web01', 1), 2);
  assert.equal(events.agentSince('web01', came), false);
  events.append({ ...disk, blade: 'web02' }, 3);
  events.append({ ...disk, step: 'fetch' }, 4);
  assert.equal(events.agentSince('web01', came), false);
  events.append(disk, 5);
  assert.equal(events.agentSince('web01', came), true);
  const again = events.append(up('web01', 1), 6);
  assert.equal(events.agentSince('web01', again), false);
  database.close();
});

test('lastUp is the newest word of that very blade', async (t) => {
  const database = openDatabase(await folderOf(t, {}));
  const events = new EventRepository(database);
  assert.equal(events.lastUp('web01'), undefined);
  events.append(up('web01', 1), 1);
  events.append(up('web01', 2), 2);
  events.append(up('web02', 3), 3);
  events.append(KERNEL, 4);
  const { release, id, time } = events.lastUp('web01') ?? {};
  assert.deepEqual({ release, id, time }, { release: 2, id: 2, time: 2 });
  assert.equal(events.lastUp('web'), undefined);
  database.close();
});

test('a database of a newer bladeroot is left alone, with a word what to do', async (t) => {
  const state = await folderOf(t, {});
  openDatabase(state).close();
  const newer = new DatabaseSync(join(state, 'state.db'));
  newer.exec('PRAGMA user_version = 99');
  newer.close();
  assert.throws(() => openDatabase(state), { code: 'STATE_NEWER', hint: /move the file away/ });
});

test('the state directory is made where there is none', async (t) => {
  const state = join(await folderOf(t, {}), 'new/state');
  openDatabase(state).close();
  assert.deepEqual(await readdir(state), ['state.db']);
});

const MAC = '52:54:00:77:00:11';
const MINUTE = 60_000;

test('a machine is found by its name and by its MAC, with what it did before it had the name', async (t) => {
  const database = openDatabase(await folderOf(t, {}));
  const events = new EventRepository(database);
  events.append({ type: 'dhcp.unknown', mac: MAC }, 1);
  events.append({ type: 'dhcp.unknown', mac: '52:54:00:77:00:99' }, 2);
  events.append({ type: 'dhcp.discover', mac: MAC, blade: 'web01' }, 3);
  events.append(KERNEL, 4);
  events.append(up('web02', 1), 5);
  for (const machine of ['web01', MAC]) {
    assert.deepEqual(
      events.ofMachine(machine).map(({ id }) => id),
      [1, 3, 4],
      machine,
    );
  }
  assert.deepEqual(events.ofMachine('nobody'), []);
  database.close();
});

test('what the first version kept is found by its MAC too', async (t) => {
  const state = await folderOf(t, {});
  const first = new DatabaseSync(join(state, 'state.db'));
  first.exec(`CREATE TABLE events (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, type TEXT NOT NULL, blade TEXT,
    event TEXT NOT NULL); CREATE INDEX events_of_blade ON events (blade, id); PRAGMA user_version = 1;
    INSERT INTO events VALUES (1, 5, 'dhcp.unknown', NULL, '{"type":"dhcp.unknown","mac":"${MAC}"}')`);
  first.close();
  const database = openDatabase(state);
  assert.equal(new EventRepository(database).ofMachine(MAC).length, 1);
  database.close();
});

test('the last boots of a machine are kept, whole, and those of others with them', async (t) => {
  const database = openDatabase(await folderOf(t, {}));
  const events = new EventRepository(database);
  events.append(up('web02', 1), 1);
  const boots = 300;
  for (let boot = 0; boot < boots; boot++) {
    const time = boot * 10 * MINUTE;
    for (const type of ['dhcp.discover', 'dhcp.offer', 'dhcp.request', 'dhcp.ack'] as const) {
      events.append({ type, mac: MAC, blade: 'web01', client: 'firmware' }, time);
    }
    events.append({ ...KERNEL, done: 1, total: 1 }, time);
  }
  const kept = bootsOf(events.ofMachine('web01'));
  assert.ok(kept.length >= KEPT.boots && kept.length < KEPT.boots + 60, `${kept.length} boots`);
  assert.ok(kept.every((boot) => boot.events.length === 5));
  assert.equal(kept.at(-1)?.events.at(-1)?.id, boots * 5 + 1);
  assert.equal(events.lastUp('web02')?.release, 1);
  database.close();
});

test('one that asks without end does not fill the disk, and what it last ran is not forgotten', async (t) => {
  const database = openDatabase(await folderOf(t, {}));
  const events = new EventRepository(database);
  events.append(up('web01', 7), 1);
  database.exec('BEGIN');
  for (let count = 0; count < KEPT.events + 1000; count++) {
    events.append({ type: 'dhcp.discover', mac: MAC, blade: 'web01', client: 'firmware' }, 2 + count);
  }
  database.exec('COMMIT');
  const { length } = events.ofMachine('web01');
  assert.ok(length >= KEPT.events && length <= KEPT.events + 251, `${length} events`);
  assert.equal(events.lastUp('web01')?.release, 7);
  database.close();
});

test('strangers are kept in bounds, however many MACs they make up', async (t) => {
  const database = openDatabase(await folderOf(t, {}));
  const events = new EventRepository(database);
  database.exec('BEGIN');
  for (let count = 0; count < KEPT.strangers + 25_000; count++) {
    events.append({ type: 'dhcp.unknown', mac: `mac${count}` }, count);
  }
  database.exec('COMMIT');
  const { rows } = database.prepare('SELECT count(*) AS rows FROM events').get() ?? {};
  assert.ok(
    Number(rows) >= KEPT.strangers && Number(rows) <= KEPT.strangers + 10_001,
    `${Number(rows)} events`,
  );
  database.close();
});

test('what is older than 90 days goes, except the last word of each blade that it is up', async (t) => {
  const state = await folderOf(t, {});
  const old = openDatabase(state);
  const before = new EventRepository(old);
  for (const event of [up('web01', 1), up('web01', 2), KERNEL]) before.append(event, 1000);
  before.append(KERNEL, 1000 + KEPT.milliseconds);
  old.close();
  const database = openDatabase(state);
  const events = new EventRepository(database);
  events.append(KERNEL, 1001 + KEPT.milliseconds);
  assert.deepEqual(
    events.since(0).map(({ id }) => id),
    [2, 4, 5],
  );
  database.close();
});
