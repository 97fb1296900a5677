import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { EventBus, type EventListener } from '../events/bus.ts';
import type { BladerootEvent } from '../events/catalogue.ts';
import { folderOf } from '../fleet/folder.fixture.ts';
import { sampleStatement } from '../release/release.fixture.ts';
import { curl } from '../serve/http-server.fixture.ts';
import { DroppedPackets } from '../serve/dropped.ts';
import { openDatabase } from '../state/database.ts';
import { EventRepository } from '../state/events.ts';
import { MachineRepository } from '../state/machines.ts';
import { startPiped } from '../system/run.ts';
import { createApp } from './app.ts';

const KERNEL: BladerootEvent = { type: 'boot.kernel', blade: 'web01' };
const STEP = { type: 'blade.step', blade: 'web01', boot: 'b1', step: 'disk', state: 'done' };

/** A bus that tells how many listen, and when one has gone. */
class WatchedBus extends EventBus {
  listening = 0;
  onLeave: () => void = () => undefined;

  override subscribe(listener: EventListener): () => void {
    this.listening++;
    const end = super.subscribe(listener);
    return () => {
      end();
      this.listening--;
      this.onLeave();
    };
  }
}

async function startApi(t: TestContext) {
  const database = openDatabase(await folderOf(t, {}));
  const events = new EventRepository(database);
  const bus = new WatchedBus(events, () => 1234);
  const errors: unknown[] = [];
  const app = createApp({
    dropped: new DroppedPackets(() => undefined),
    bus,
    events,
    machines: new MachineRepository(database),
    current: () => sampleStatement({ sequence: 7 }),
    answerFirst: async (request) => {
      if (request.url === '/boot/broken') throw new Error('no such disk');
      return false;
    },
    onError: (error) => errors.push(error),
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(async () => {
    await app.close();
    database.close();
  });
  const report = async (body: string) =>
    await curl(`${url}/api/v1/reports`, '--header', 'Content-Type: application/json', '--data', body);
  return { url, bus, events, errors, report, app };
}

/** curl, and the lines that it reads of a stream until the test is over. */
function follow(t: TestContext, url: string) {
  const child = startPiped('curl', ['--silent', '--no-buffer', url]);
  t.after(() => child.kill('SIGKILL'));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => JSON.parse(String((await lines.next()).value));
  return { child, next };
}

test('status says which fleet and release this is, and for whom', async (t) => {
  const { url } = await startApi(t);
  assert.deepEqual(JSON.parse((await curl(`${url}/api/v1/status`)).body), {
    fleet: 'lab',
    release: 7,
    blades: ['web01', 'mail01'],
  });
});

test('a good report becomes an event', async (t) => {
  const { events, report } = await startApi(t);
  const answer = await report(JSON.stringify(STEP));
  assert.deepEqual([answer.status, answer.body], [204, '']);
  assert.deepEqual(events.since(0), [{ ...STEP, id: 1, time: 1234 }]);
});

test('a wrong report is 400 and says which field is wrong, and becomes no event', async (t) => {
  const { events, errors, report } = await startApi(t);
  for (const [body, message] of [
    [JSON.stringify({ ...STEP, step: 'dance' }), /expected one of .*"dhcp".*step/s],
    [JSON.stringify({ ...STEP, extra: 1 }), /extra/],
    [JSON.stringify({ ...STEP, type: 'root.started' }), /type/],
    ['{', /JSON/],
    ['', /empty|JSON/],
    ['null', /object|type/],
  ] as const) {
    const answer = await report(body);
    assert.equal(answer.status, 400, body);
    const said: { code: string; message: string } = JSON.parse(answer.body);
    assert.match(said.message, message, body);
    assert.doesNotMatch(said.message, /\n\s+at /, 'no stack trace');
  }
  assert.deepEqual(events.since(0), []);
  assert.deepEqual(errors, [], "a client's mistake is no failure of the root");
});

test('a report of a blade that the release does not know is 404, and becomes no event', async (t) => {
  const { events, report } = await startApi(t);
  const answer = await report(JSON.stringify({ ...STEP, blade: 'db01' }));
  assert.equal(answer.status, 404);
  assert.deepEqual(JSON.parse(answer.body), { code: 'UNKNOWN_BLADE', message: 'there is no blade db01' });
  assert.deepEqual(events.since(0), []);
});

test('a report that is too long is refused', async (t) => {
  const { report } = await startApi(t);
  assert.equal((await report(JSON.stringify({ ...STEP, message: 'x'.repeat(20_000) }))).status, 413);
});

test('what there is not is 404, in the form of all errors', async (t) => {
  const { url } = await startApi(t);
  const answer = await curl(`${url}/api/v1/nosuch`);
  assert.equal(answer.status, 404);
  assert.deepEqual(JSON.parse(answer.body), {
    code: 'NOT_FOUND',
    message: 'there is no GET /api/v1/nosuch here',
  });
});

test('a boot request that fails is told to the root, and its client gets 500', async (t) => {
  const { url, errors } = await startApi(t);
  assert.equal((await curl(`${url}/boot/broken`)).status, 500);
  assert.match(String(errors), /no such disk/);
});

test('events are lines of JSON from `since` on, all of them however many', async (t) => {
  const { url, events } = await startApi(t);
  for (let time = 1; time <= 2500; time++) events.append(KERNEL, time);
  const ids = (await curl(`${url}/api/v1/events?since=3`)).body
    .trimEnd()
    .split('\n')
    .map((line) => Number(JSON.parse(line).id));
  assert.deepEqual([ids.length, ids[0], ids.at(-1)], [2497, 4, 2500]);
  assert.equal((await curl(`${url}/api/v1/events?since=2500`)).body, '');
});

test('a wrong `since` or `follow` is 400', async (t) => {
  const { url } = await startApi(t);
  for (const query of ['since=soon', 'since=-1', 'since=1.5', 'follow=perhaps']) {
    const answer = await curl(`${url}/api/v1/events?${query}`);
    assert.equal(answer.status, 400, query);
    assert.match(answer.body, /BAD_REQUEST/, query);
  }
});

test('a follower gets what was, then what happens; when it goes away it is forgotten', async (t) => {
  const { url, bus } = await startApi(t);
  bus.emit(KERNEL);
  bus.emit(KERNEL);
  const follower = follow(t, `${url}/api/v1/events?follow=true&since=1`);
  assert.deepEqual(await follower.next(), { ...KERNEL, id: 2, time: 1234 });
  assert.equal(bus.listening, 1);
  bus.emit({ ...KERNEL, blade: 'mail01' });
  assert.deepEqual(await follower.next(), { ...KERNEL, blade: 'mail01', id: 3, time: 1234 });
  const left = Promise.withResolvers<void>();
  bus.onLeave = left.resolve;
  follower.child.kill('SIGTERM');
  await left.promise;
  assert.equal(bus.listening, 0);
  bus.emit(KERNEL);
});

// curl holds back headers until there is something behind them; fetch does not.
test('a follower knows that it follows before anything has happened', async (t) => {
  const { url, bus } = await startApi(t);
  const response = await fetch(`${url}/api/v1/events?follow=true`);
  assert.equal(response.headers.get('content-type'), 'application/x-ndjson');
  bus.emit(KERNEL);
  const reader = response.body?.getReader();
  assert.equal(JSON.parse(Buffer.from((await reader?.read())?.value ?? []).toString()).id, 1);
  await reader?.cancel();
});

test('a root that stops does not wait for its followers', async (t) => {
  const { url, bus, app } = await startApi(t);
  const response = await fetch(`${url}/api/v1/events?follow=true`);
  await app.close();
  await assert.rejects(response.text());
  assert.equal(bus.listening, 0);
});

test('HTTP-23: whoever sends headers byte by byte is broken off within 20 s, and others are answered meanwhile', async (t) => {
  const { url } = await startApi(t);
  const slow = connect(Number(new URL(url).port), '127.0.0.1');
  t.after(() => slow.destroy());
  await once(slow, 'connect');
  const begun = performance.now();
  slow.write('GET /api/v1/status HTTP/1.1\r\nHost: root\r\nX-Slow: ');
  const dripping = setInterval(() => slow.write('a'), 500);
  t.after(() => clearInterval(dripping));
  const closed = once(slow, 'close');
  let said = '';
  slow.on('data', (text: Buffer) => (said += text.toString()));
  // The connection may be reset under a byte that comes too late.
  slow.on('error', () => clearInterval(dripping));
  assert.equal((await curl(`${url}/api/v1/status`)).status, 200);
  await closed;
  const seconds = (performance.now() - begun) / 1000;
  assert.ok(seconds > 5 && seconds < 20, `${seconds} s`);
  assert.match(said, /^(HTTP\/1\.1 408 |$)/);
});
