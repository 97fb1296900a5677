import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DEFAULT_HEALTH, untilHealthy, type HealthRequest } from './health.ts';

/** A service manager that is up, with what has failed. */
function services(failed: string[] = [], running: string[] = []): HealthRequest['services'] {
  return {
    settled: async () => {},
    failed: async () => failed,
    isRunning: async (name) => running.includes(name),
  };
}

/** The first look, and what was wrong at it. */
async function look(
  health: Partial<HealthRequest['health']>,
  manager = services(),
): Promise<string | undefined> {
  const enough = new AbortController();
  let wrong: string | undefined;
  await untilHealthy({
    health: { ...DEFAULT_HEALTH, ...health },
    services: manager,
    forEver: true,
    signal: enough.signal,
    onUnhealthy: (why) => {
      wrong = why;
      enough.abort();
    },
  }).catch((error: unknown) => enough.signal.aborted || assert.fail(String(error)));
  return wrong;
}

test('without checks, a blade is healthy when no service has failed, but for those that may', async () => {
  assert.equal(await look({}), undefined);
  assert.equal(await look({}, services(['nginx.service'])), 'services: nginx.service failed');
  assert.equal(await look({ mayFail: ['nginx'] }, services(['nginx.service'])), undefined);
  assert.match(
    (await look({ mayFail: ['nginx'] }, services(['nginx.service', 'a.mount']))) ?? '',
    /a\.mount/,
  );
});

test('each kind of check passes and fails by what is really there, and all that is wrong is named', async (t) => {
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/ok' ? 204 : 503).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const good = {
    command: ['test 1 -lt 2'],
    http: [`${url}/ok`],
    tcp: [String(port), `127.0.0.1:${port}`],
    unit: ['nginx'],
  };
  assert.equal(await look(good, services([], ['nginx'])), undefined);
  const bad = {
    command: ['echo no room >&2; exit 3'],
    http: [`${url}/down`],
    tcp: ['127.0.0.1:1'],
    unit: ['nginx'],
  };
  const wrong = (await look(bad)) ?? '';
  assert.match(wrong, /^unit nginx: it is not running; command .* ended with status 3: no room; /);
  assert.match(wrong, /http \S+\/down: it answers 503; tcp 127\.0\.0\.1:1: connect ECONNREFUSED/);
});

test('what becomes well is waited for', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-health-'));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  const file = join(directory, 'ready');
  const seen: string[] = [];
  const wrong = await untilHealthy({
    health: { ...DEFAULT_HEALTH, command: [`test -e ${file}`], period: 0.01 },
    services: services(),
    forEver: false,
    signal: t.signal,
    onUnhealthy: (why) => {
      seen.push(why);
      void writeFile(file, '');
    },
  });
  assert.equal(wrong, undefined);
  assert.equal(seen.length, 1);
});

test('when the time is over, the last that was wrong is told; also of services that never finish starting', async (t) => {
  const health = { ...DEFAULT_HEALTH, timeout: 0.05, period: 0.01 };
  const request = {
    health: { ...health, unit: ['nginx'] },
    services: services(),
    forEver: false,
    signal: t.signal,
  };
  assert.equal(await untilHealthy(request), 'unit nginx: it is not running');
  const hanging = {
    ...services(),
    settled: async (signal: AbortSignal) =>
      void (await once(signal, 'abort').then(() => signal.throwIfAborted())),
  };
  assert.match(
    (await untilHealthy({ ...request, services: hanging })) ?? '',
    /have not started within 0\.05 s/,
  );
});
