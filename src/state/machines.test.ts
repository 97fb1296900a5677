import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import { sampleMachine } from '../fleet/machine.fixture.ts';
import { folderOf } from '../fleet/folder.fixture.ts';
import { openDatabase, openDatabaseToRead } from './database.ts';
import { MachineRepository, MAX_PENDING } from './machines.ts';

async function open(t: TestContext) {
  const state = await folderOf(t, {});
  const database = openDatabase(state);
  t.after(() => database.close());
  return { state, database, machines: new MachineRepository(database) };
}

function numbered(number: number): string {
  return `52:54:00:00:${(number >> 8).toString(16).padStart(2, '0')}:${(number & 255).toString(16).padStart(2, '0')}`;
}

test('a machine is new once; then only what it says anew counts, and when it was last seen', async (t) => {
  const { machines } = await open(t);
  const machine = sampleMachine();
  assert.equal(machines.seen(machine, 1000), true);
  assert.equal(machines.seen(machine, 3000), false);
  assert.deepEqual(machines.all(), [{ machine, firstSeen: 1000, lastSeen: 1000 }]);
  assert.equal(machines.seen(machine, 12_000), false);
  assert.deepEqual(machines.get(machine.mac), { machine, firstSeen: 1000, lastSeen: 12_000 });
  const changed = sampleMachine({ serial: 'SN7' });
  assert.equal(machines.seen(changed, 12_001), true);
  assert.deepEqual(machines.all(), [{ machine: changed, firstSeen: 1000, lastSeen: 12_001 }]);
  assert.equal(machines.seen(changed, 5), false, 'a clock that was set back');
  assert.equal(machines.get(machine.mac)?.lastSeen, 5);
  assert.equal(machines.get('52:54:00:77:00:98'), undefined);
});

test('at most 1,000 machines are pending: those that are silent for longest go, blades stay', async (t) => {
  const { machines } = await open(t);
  for (let number = 0; number < MAX_PENDING; number++) {
    machines.seen(sampleMachine({ mac: numbered(number) }), number);
  }
  machines.bind(numbered(0), 'web01');
  machines.seen(sampleMachine({ mac: numbered(1) }), 100_000);
  for (let number = MAX_PENDING; number < MAX_PENDING + 3; number++) {
    machines.seen(sampleMachine({ mac: numbered(number) }), 100_000 + number);
  }
  assert.equal(machines.pending().length, MAX_PENDING);
  const gone = [0, 1, 2, 3, 4].filter((number) => machines.get(numbered(number)) === undefined);
  assert.deepEqual(gone, [2, 3], 'one place was free, as web01 is not pending; 1 was heard of again');
});

test('a blade is one machine: the newest that is it; the other is pending again', async (t) => {
  const { machines } = await open(t);
  machines.seen(sampleMachine({ mac: numbered(1) }), 1);
  machines.seen(sampleMachine({ mac: numbered(2) }), 2);
  machines.bind(numbered(1), 'web01');
  machines.bind(numbered(2), 'web01');
  assert.deepEqual(
    machines.all().map(({ blade }) => blade),
    [undefined, 'web01'],
  );
  machines.seen(sampleMachine({ mac: numbered(2), serial: 'x' }), 3);
  assert.equal(machines.get(numbered(2))?.blade, 'web01', 'saying something else does not change that');
  machines.bind(numbered(2), undefined);
  assert.equal(machines.pending().length, 2);
});

test('all of it is there after a restart, and can be read while a root is at work', async (t) => {
  const { state, machines } = await open(t);
  machines.seen(sampleMachine(), 1);
  machines.bind(sampleMachine().mac, 'web01');
  const reader = openDatabaseToRead(state);
  assert.ok(reader);
  assert.deepEqual(new MachineRepository(reader).all(), machines.all());
  assert.throws(() => new MachineRepository(reader).seen(sampleMachine({ mac: numbered(3) }), 2), /readonly/);
  machines.seen(sampleMachine({ mac: numbered(4) }), 2);
  assert.equal(new MachineRepository(reader).pending().length, 1, 'what came meanwhile is seen');
  reader.close();
});

test('who only reads makes no database, and leaves those of other versions alone', async (t) => {
  const state = await folderOf(t, {});
  assert.equal(openDatabaseToRead(state), undefined);
  assert.equal(openDatabaseToRead(join(state, 'none')), undefined);
  const database = new DatabaseSync(join(state, 'state.db'));
  database.exec('PRAGMA user_version = 1');
  assert.throws(() => openDatabaseToRead(state), { code: 'STATE_OLDER', hint: /bladeroot serve/ });
  database.exec('PRAGMA user_version = 99');
  assert.throws(() => openDatabaseToRead(state), { code: 'STATE_NEWER' });
  database.close();
});
