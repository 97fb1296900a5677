import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { reportSchema, type Report } from '../events/catalogue.ts';
import { listen } from './release.fixture.ts';
import { Reporter } from './reporter.ts';

async function rootThatHears(t: TestContext): Promise<{ root: string; received: Report[] }> {
  const received: Report[] = [];
  const server = createServer(async (request, response) => {
    assert.equal(request.url, '/api/v1/reports');
    received.push(reportSchema.parse(await json(request)));
    response.writeHead(204).end();
  });
  return { root: await listen(t, server), received };
}

test('what is reported before the root is known is sent first, in order, in the name of the blade', async (t) => {
  const { root, received } = await rootThatHears(t);
  const said: string[] = [];
  const reporter = new Reporter('b00t', (line) => said.push(line));
  reporter.done('agent', 'the agent runs');
  reporter.started('release', 'asking');
  reporter.failed('release', 'x'.repeat(3000));
  reporter.setTarget({ root, blade: 'web01' });
  reporter.done('release', 'found');
  reporter.done('configure');
  await reporter.flush();
  assert.deepEqual(
    received.map((report) => report.type === 'blade.step' && [report.step, report.state]),
    [
      ['agent', 'done'],
      ['release', 'started'],
      ['release', 'failed'],
      ['release', 'done'],
      ['configure', 'done'],
    ],
  );
  assert.ok(received.every(({ blade, boot }) => blade === 'web01' && boot === 'b00t'));
  assert.deepEqual(said.slice(0, 2), ['the agent runs', 'asking']);
});

test('what the root does not take is sent again, in order, and the console hears of it once', async (t) => {
  const received: string[] = [];
  let requests = 0;
  const server = createServer(async (request, response) => {
    const report = reportSchema.parse(await json(request));
    requests++;
    if (requests <= 2) {
      response.writeHead(500).end('full');
      return;
    }
    received.push(report.type === 'blade.step' ? report.step : report.type);
    response.writeHead(204).end();
  });
  const root = await listen(t, server);
  const said: string[] = [];
  const reporter = new Reporter('boot', (line) => said.push(line));
  reporter.setTarget({ root, blade: 'web01' });
  for (const step of ['agent', 'disk', 'configure'] as const) reporter.done(step);
  await reporter.flush();
  assert.deepEqual(received, ['agent', 'disk', 'configure']);
  assert.equal(requests, 5);
  assert.deepEqual(said, [
    `the root did not take a report: ${root} answers 500: full`,
    'the root takes reports again',
  ]);
});

test('a report that the root calls wrong is told of and not sent again; the next one is sent', async (t) => {
  let requests = 0;
  const server = createServer((_request, response) => {
    requests++;
    response.writeHead(requests === 1 ? 400 : 204).end(requests === 1 ? 'no such step' : undefined);
  });
  const root = await listen(t, server);
  const said: string[] = [];
  const reporter = new Reporter('boot', (line) => said.push(line));
  reporter.setTarget({ root, blade: 'web01' });
  reporter.done('agent');
  reporter.done('disk');
  await reporter.flush();
  assert.equal(requests, 2);
  assert.deepEqual(said, [`the root did not take a report: ${root} answers 400: no such step`]);
});

test('the last 200 reports are kept for a root that is not there, no more', async (t) => {
  const { root, received } = await rootThatHears(t);
  const said: string[] = [];
  const reporter = new Reporter('boot', (line) => said.push(line));
  for (let number = 1; number <= 250; number++) reporter.failed('release', `try ${number}`);
  reporter.setTarget({ root, blade: 'web01' });
  await reporter.flush();
  const messages = received.map((report) => report.type === 'blade.step' && report.message);
  assert.deepEqual(
    messages,
    Array.from({ length: 200 }, (_, index) => `try ${index + 51}`),
  );
  assert.equal(said.at(-1), '50 reports did not reach the root');
});

test('a root that takes requests and never answers holds nothing up, and progress does not queue up', async (t) => {
  let requests = 0;
  const root = await listen(
    t,
    createServer(() => requests++),
  );
  const said: string[] = [];
  const reporter = new Reporter('boot', (line) => said.push(line));
  const begun = performance.now();
  reporter.setTarget({ root, blade: 'web01' });
  reporter.started('fetch', 'unpacking');
  for (let i = 1; i <= 100; i++) reporter.progress('fetch', 100, 100, 1);
  for (let i = 0; i < 20; i++) reporter.done('disk');
  assert.ok(performance.now() - begun < 500, 'reporting does not wait');
  await reporter.flush();
  assert.ok(performance.now() - begun < 8000, 'the end waits a little, not 3 s for each report');
  assert.ok(requests <= 3);
  assert.equal(said.at(-1), '21 reports did not reach the root');
  assert.ok(said.includes('fetch: 100 %, 0.0 of 0.0 MB, 0.0 MB/s'), 'the console hears it all the same');
});

test('progress is told at most twice a second, and at its end in any case', async (t) => {
  const { root, received } = await rootThatHears(t);
  const said: string[] = [];
  const reporter = new Reporter('boot', (line) => said.push(line));
  reporter.setTarget({ root, blade: 'web01' });
  for (let done = 0; done <= 1000; done++) reporter.progress('fetch', done * 1e6, 1e9, 2e6);
  await reporter.flush();
  assert.ok(said.length <= 2 && received.length <= 2);
  assert.equal(said.at(-1), 'fetch: 100 %, 1000 of 1000 MB, 2.0 MB/s');
});
