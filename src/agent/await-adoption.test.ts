/** A machine that says hello to a real root: its HTTP server, its database, its releases. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test, type TestContext } from 'node:test';
import { createApp } from '../api/app.ts';
import { EventBus } from '../events/bus.ts';
import { sampleMachine } from '../fleet/machine.fixture.ts';
import { folderOf } from '../fleet/folder.fixture.ts';
import { openRelease, type SignedRelease } from '../release/repository.ts';
import { answerBootRequest } from '../serve/boot-http.ts';
import { DroppedPackets } from '../serve/dropped.ts';
import { openDatabase } from '../state/database.ts';
import { EventRepository } from '../state/events.ts';
import { MachineRepository } from '../state/machines.ts';
import { awaitAdoption, type AwaitOptions } from './await-adoption.ts';
import { keys, listen, signRelease, testBlade } from './release.fixture.ts';

const machine = sampleMachine({ mac: '52:54:00:00:00:99', serial: 'SN7' });

function releaseOf(sequence: number, ...blades: [name: string, mac: string][]): SignedRelease {
  const made = blades.map(([name, mac]) => testBlade(name, mac));
  return openRelease(signRelease({ sequence, blades: made }), keys.publicKey);
}

const before = releaseOf(1, ['web01', '52:54:00:00:00:01']);
const after = releaseOf(2, ['web01', '52:54:00:00:00:01'], ['web02', machine.mac]);

/** A release for one blade, known by what is given. */
function db01(sequence: number, known: { mac: string } | { serial: string }): SignedRelease {
  const { mac: _mac, ...blade } = testBlade('db01', machine.mac);
  return openRelease(signRelease({ sequence, blades: [{ ...blade, ...known }] }), keys.publicKey);
}

async function startRoot(t: TestContext) {
  const stateDirectory = await folderOf(t, {});
  const database = openDatabase(stateDirectory);
  const events = new EventRepository(database);
  const machines = new MachineRepository(database);
  const root = { url: '', release: before, events, machines };
  const boot = {
    storeDirectory: stateDirectory,
    url: 'http://127.0.0.1',
    current: () => root.release,
    plan: () => ({ kind: 'agent' as const }),
    whoIs: (address: string) => ({ blade: address }),
    onEvent: () => undefined,
  };
  const app = createApp({
    dropped: new DroppedPackets(() => undefined),
    bus: new EventBus(events),
    events,
    machines,
    current: () => root.release.statement,
    answerFirst: async (request, response) => await answerBootRequest(request, response, boot),
    onError: (error) => assert.fail(String(error)),
  });
  root.url = await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(async () => {
    await app.close();
    database.close();
  });
  return root;
}

/** Waits as the agent does; `onWait` is called instead of letting time pass, at most so often. */
function waiting(root: string, onWait: (rounds: number, ms: number) => void, roots: string[] = []) {
  const screens: string[] = [];
  let rounds = 0;
  const options: AwaitOptions = {
    machine,
    unclaimed: { root, release: before, blade: undefined },
    roots: [root, ...roots],
    publicKey: keys.publicKey,
    show: (screen) => screens.push(screen),
    wait: async (ms) => {
      assert.ok(++rounds < 100, 'it waits for ever');
      onWait(rounds, ms);
    },
  };
  return { screens, found: awaitAdoption(options) };
}

test('a machine without a name says what it is, waits, and goes on with the release that names it', async (t) => {
  const root = await startRoot(t);
  const pauses: number[] = [];
  const { found, screens } = waiting(root.url, (rounds, ms) => {
    pauses.push(ms);
    assert.deepEqual(
      root.machines.pending().map((known) => known.machine),
      [machine],
    );
    if (rounds === 5) root.release = after;
  });
  const { root: from, release, blade } = await found;
  assert.deepEqual([from, release.statement.sequence, blade.name], [root.url, 2, 'web02']);
  assert.ok(
    pauses.every((ms) => ms >= 1500 && ms <= 2500),
    String(pauses),
  );
  assert.deepEqual(
    root.events.since(0).map(({ type }) => type),
    ['machine.pending', 'machine.adopted'],
    'five questions are one event',
  );
  assert.equal(screens.length, 1, 'the screen is drawn again when something is new');
  const [screen = ''] = screens;
  assert.match(screen, /no name in the fleet test yet/);
  assert.match(screen, /bladeroot blade adopt 52:54:00:00:00:99 NAME/);
  assert.match(screen, /serial +SN7/);
  assert.match(screen, new RegExp(`waiting: ${root.url} knows of it`));
});

test('a machine whose serial number another one has waits, though the release names it, until it may be it', async (t) => {
  const root = await startRoot(t);
  const first = sampleMachine({ mac: '52:54:00:00:00:98', serial: 'SN7' });
  root.release = db01(2, { serial: 'SN7' });
  root.machines.seen(first, Date.now());
  root.machines.bind(first.mac, 'db01');
  const { found, screens } = waiting(root.url, (rounds) => {
    if (rounds === 4) root.release = db01(3, { mac: machine.mac });
  });
  assert.equal((await found).release.statement.sequence, 3);
  assert.match(screens[0] ?? '', /serial number of db01, which the machine\s+52:54:00:00:00:98 is already/);
});

test('a release for others alone keeps it waiting', async (t) => {
  const root = await startRoot(t);
  const { found } = waiting(root.url, (rounds) => {
    if (rounds === 2) root.release = releaseOf(2, ['web03', '52:54:00:00:00:03']);
    if (rounds === 4) root.release = releaseOf(3, ['web02', machine.mac]);
  });
  assert.equal((await found).release.statement.sequence, 3);
});

test('an answer that no signed release bears out names nobody', async (t) => {
  const liar = await listen(
    t,
    createServer((request, response) => {
      const isHello = request.url === '/api/v1/machines';
      response.end(isHello ? JSON.stringify({ release: 9, blade: 'web02' }) : before.envelope);
    }),
  );
  const { found } = waiting(liar, (rounds) => {
    if (rounds === 4) throw new Error('still waiting');
  });
  await assert.rejects(found, /still waiting/);
});

test('when the root is gone the others are asked, less and less often, and the screen says so', async (t) => {
  const root = await startRoot(t);
  root.release = after;
  const gone = createServer();
  const dead = await listen(t, gone);
  gone.close();
  const pauses: number[] = [];
  const { found, screens } = waiting(dead, (_rounds, ms) => pauses.push(ms), [dead, root.url]);
  const { root: from, blade } = await found;
  assert.deepEqual([from, blade.name], [root.url, 'web02']);
  assert.deepEqual(pauses.length, 1);
  assert.ok((pauses[0] ?? 0) >= 3000, 'longer than when somebody answers');
  assert.match(screens[0] ?? '', new RegExp(`${dead} was asked in vain: [^]*ECONNREFUSED`));
});

test('a root that nobody replaces is asked ever less often, up to half a minute', async (t) => {
  const gone = createServer();
  const dead = await listen(t, gone);
  gone.close();
  const pauses: number[] = [];
  const { found } = waiting(dead, (rounds, ms) => {
    pauses.push(ms);
    if (rounds === 8) throw new Error('enough');
  });
  await assert.rejects(found, /enough/);
  assert.ok(Math.max(...pauses) <= 37_500 && (pauses.at(-1) ?? 0) >= 22_500, String(pauses));
});
