import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import type { BladerootEvent } from '../events/catalogue.ts';
import { folderOf } from '../fleet/test-folder.ts';
import { openDatabase } from './database.ts';
import { EventRepository } from './events.ts';

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
