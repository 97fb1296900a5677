import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { EventBus } from '../events/bus.ts';
import { sampleMachine } from '../fleet/machine.fixture.ts';
import { folderOf } from '../fleet/folder.fixture.ts';
import { sampleStatement } from '../release/release.fixture.ts';
import { curl } from '../serve/http-server.fixture.ts';
import { DroppedPackets } from '../serve/dropped.ts';
import { openDatabase } from '../state/database.ts';
import { EventRepository } from '../state/events.ts';
import { MachineRepository } from '../state/machines.ts';
import { createApp } from './app.ts';

async function startApi(t: TestContext) {
  const database = openDatabase(await folderOf(t, {}));
  const events = new EventRepository(database);
  const machines = new MachineRepository(database);
  const root = { release: sampleStatement({ sequence: 3 }) };
  const app = createApp({
    dropped: new DroppedPackets(() => undefined),
    bus: new EventBus(events, () => 1234),
    events,
    machines,
    current: () => root.release,
    answerFirst: async () => false,
    onError: (error) => assert.fail(String(error)),
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(async () => {
    await app.close();
    database.close();
  });
  const post = async (body: string) => {
    const header = ['--header', 'Content-Type: application/json'];
    return await curl(`${url}/api/v1/machines`, ...header, '--data', body);
  };
  const hello = async (machine: object): Promise<unknown> =>
    JSON.parse((await post(JSON.stringify(machine))).body);
  const told = (): unknown[] =>
    events
      .since(0)
      .map((event) => [event.type, 'blade' in event ? event.blade : 'message' in event && event.message]);
  return { url, root, machines, post, hello, told };
}

const machine = sampleMachine({ serial: 'SN7' });

test('a hello is kept; it is told once, and again when the machine says something else', async (t) => {
  const { url, hello, told } = await startApi(t);
  for (let times = 0; times < 3; times++) assert.deepEqual(await hello(machine), { release: 3 });
  const first = ['machine.pending', 'QEMU Standard PC, serial SN7, 2 CPUs, 1.1 GB, 1 disk'];
  assert.deepEqual(told(), [first]);
  await hello({ ...machine, disks: [], anything: 'a newer agent says' });
  assert.deepEqual(told(), [
    first,
    ['machine.pending', 'QEMU Standard PC, serial SN7, 2 CPUs, 1.1 GB, 0 disks'],
  ]);
  const [listed] = JSON.parse((await curl(`${url}/api/v1/machines?pending=true`)).body);
  assert.deepEqual(listed.machine, { ...machine, disks: [] });
});

test('the machine that the next release names is told so, and is pending no more; without its name it is again', async (t) => {
  const { url, root, hello, told } = await startApi(t);
  await hello(machine);
  const named = (name: string) =>
    root.release.blades.slice(0, 1).map((blade) => ({ ...blade, name, mac: machine.mac }));
  const { blades } = root.release;
  root.release = sampleStatement({ sequence: 4, blades: [...blades, ...named('web02')] });
  assert.deepEqual(await hello(machine), { release: 4, blade: 'web02' });
  assert.deepEqual(await hello(machine), { release: 4, blade: 'web02' });
  assert.deepEqual(JSON.parse((await curl(`${url}/api/v1/machines?pending=true`)).body), []);
  const [listed] = JSON.parse((await curl(`${url}/api/v1/machines`)).body);
  assert.equal(listed.blade, 'web02');
  root.release = sampleStatement({ sequence: 5 });
  assert.deepEqual(await hello(machine), { release: 5 });
  assert.deepEqual(
    told().map((event) => Array.isArray(event) && event[0]),
    ['machine.pending', 'machine.adopted', 'machine.pending'],
  );
});

test('a rule by serial number names a machine at its first hello', async (t) => {
  const { root, hello, told, machines } = await startApi(t);
  const [blade] = root.release.blades;
  assert.ok(blade);
  const { mac: _mac, ...rest } = blade;
  root.release = sampleStatement({ sequence: 4, blades: [{ ...rest, name: 'db01', serial: 'SN7' }] });
  assert.deepEqual(await hello(machine), { release: 4, blade: 'db01' });
  assert.deepEqual(told(), [['machine.adopted', 'db01']]);
  assert.equal(machines.get(machine.mac)?.blade, 'db01');
});

test('of two machines with one serial number the first is the blade; the second is told why it is not, once', async (t) => {
  const { root, hello, told, machines } = await startApi(t);
  const [blade] = root.release.blades;
  assert.ok(blade);
  const { mac: _mac, ...rest } = blade;
  root.release = sampleStatement({ sequence: 4, blades: [{ ...rest, name: 'db01', serial: 'SN7' }] });
  await hello(machine);
  const [nic] = machine.nics;
  const twin = { ...machine, mac: '52:54:00:77:00:aa', nics: [{ ...nic, mac: '52:54:00:77:00:aa' }] };
  const why = `it has the serial number of db01, which the machine ${machine.mac} is already: write mac: for db01 into fleet.yaml, or adopt this one under a name of its own`;
  for (let times = 0; times < 2; times++) assert.deepEqual(await hello(twin), { release: 4, refused: why });
  assert.deepEqual(told(), [
    ['machine.adopted', 'db01'],
    ['machine.refused', 'db01'],
  ]);
  assert.equal(machines.holder('db01')?.machine.mac, machine.mac);
  assert.deepEqual(
    machines.pending().map((known) => known.machine.mac),
    [twin.mac],
  );
  assert.deepEqual(await hello(machine), { release: 4, blade: 'db01' }, 'the first goes on being it');

  root.release = sampleStatement({ sequence: 5, blades: [{ ...rest, name: 'db01', mac: twin.mac }] });
  assert.deepEqual(await hello(twin), { release: 5, blade: 'db01' }, 'fleet.yaml says which one is meant');
});

test('a machine that boots by another of its cards is the same one, and where it was seen is kept', async (t) => {
  const { root, hello, machines } = await startApi(t);
  const [blade] = root.release.blades;
  assert.ok(blade);
  const { mac: _mac, ...rest } = blade;
  root.release = sampleStatement({ sequence: 4, blades: [{ ...rest, name: 'db01', serial: 'SN7' }] });
  const [nic] = machine.nics;
  assert.ok(nic);
  const second = { ...nic, name: 'eth1', mac: '52:54:00:77:00:ab' };
  await hello({ ...machine, nics: [nic, second] });
  const other = { ...machine, mac: second.mac, nics: [nic, second] };
  assert.deepEqual(await hello(other), { release: 4, blade: 'db01' });
  assert.equal(machines.holder('db01')?.address, '127.0.0.1');
});

test('a wrong hello is 400 and says which field is wrong, and nothing of it is kept', async (t) => {
  const { url, post, machines, told } = await startApi(t);
  for (const [body, said] of [
    [JSON.stringify({ ...machine, mac: 'x' }), /a MAC is written like.*mac/s],
    [JSON.stringify({ ...machine, serial: 'x'.repeat(129) }), /serial/],
    [JSON.stringify({ ...machine, guid: '../../etc' }), /guid/],
    [JSON.stringify({ ...machine, memoryBytes: -1 }), /memoryBytes/],
    [JSON.stringify({ ...machine, nics: Array(65).fill(machine.nics[0]) }), /nics/],
    ['{}', /mac/],
    ['nonsense', /JSON/],
  ] as const) {
    const answer = await post(body);
    assert.equal(answer.status, 400, body);
    assert.match(answer.body, said);
  }
  const headers = { 'Content-Type': 'application/json' };
  const long = JSON.stringify({ ...machine, vendor: 'x'.repeat(600_000) });
  const answer = await fetch(`${url}/api/v1/machines`, { method: 'POST', headers, body: long });
  assert.equal(answer.status, 413);
  assert.deepEqual([machines.all(), told()], [[], []]);
});
