import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { test, type TestContext } from 'node:test';
import { collect } from './byte-reader.ts';
import { HttpSource } from './http-source.ts';

async function serve(
  t: TestContext,
  listener: RequestListener,
): Promise<{ url: string; connections: number }> {
  const served = { url: '', connections: 0 };
  const server = createServer(listener).listen(0, '127.0.0.1');
  server.on('connection', () => served.connections++);
  await once(server, 'listening');
  t.after(() => server.closeAllConnections());
  t.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  served.url = `http://127.0.0.1:${address.port}/store/`;
  return served;
}

function open(t: TestContext, url: string, patience = 30_000): HttpSource {
  const source = new HttpSource(url, { patience });
  t.after(() => source.close());
  return source;
}

test('it asks for the range it wants, keeps its connection, and lives with a server that knows no ranges', async (t) => {
  const asked: (string | undefined)[] = [];
  const served = await serve(t, (request, response) => {
    asked.push(request.headers.range);
    const ranges = request.url === '/store/ranges';
    if (ranges && request.headers.range !== undefined) response.writeHead(206).end('456789');
    else response.end('0123456789');
  });
  const source = open(t, served.url);
  assert.equal((await collect(await source.get('ranges'))).toString(), '0123456789');
  assert.equal((await collect(await source.get('ranges', { start: 4 }))).toString(), '456789');
  assert.equal((await collect(await source.get('none', { start: 4 }))).toString(), '456789');
  assert.deepEqual(asked, [undefined, 'bytes=4-', 'bytes=4-']);
  assert.equal(served.connections, 1);
});

test('a missing file, a broken connection and a dead server are told apart', async (t) => {
  const { url } = await serve(t, (request, response) => {
    if (request.url === '/store/missing') response.writeHead(404).end();
    else if (request.url === '/store/error') response.writeHead(500).end();
    else response.writeHead(200, { 'content-length': 100 }).write('some', () => response.destroy());
  });
  const source = open(t, url);
  await assert.rejects(source.get('missing'), {
    code: 'SOURCE_MISSING',
    message: /missing answered with status 404/,
  });
  await assert.rejects(source.get('error'), { code: 'SOURCE_FAILED' });
  await assert.rejects(collect(await source.get('broken')), { code: 'SOURCE_FAILED' });
  await assert.rejects(open(t, 'http://127.0.0.1:1/').get('x'), { hint: /is the root running/ });
  assert.throws(() => new HttpSource('ftp://host/'), { code: 'SOURCE_URL' });
});

test('a server that falls silent counts as dead, a reader that is busy does not', async (t) => {
  const { url } = await serve(t, (request, response) => {
    if (request.url === '/store/mute') return;
    response.write('first');
    if (request.url === '/store/whole') response.end('second');
  });
  const source = open(t, url, 100);
  await assert.rejects(source.get('mute'), {
    code: 'SOURCE_FAILED',
    message: /nothing came for 0.1 seconds/,
  });
  await assert.rejects(collect(await source.get('stalls')), { message: /nothing came for/ });

  let text = '';
  for await (const chunk of await source.get('whole')) {
    text += chunk.toString();
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert.equal(text, 'firstsecond');
});

test('waiting is aborted with the reason given', async (t) => {
  const { url } = await serve(t, (_, response) => void response.write('first'));
  const source = open(t, url);
  const abort = new AbortController();
  const reason = new Error('enough');
  const body = await source.get('x', { signal: abort.signal });
  await assert.rejects(async () => {
    for await (const chunk of body) abort.abort(chunk.length > 0 ? reason : undefined);
  }, reason);
  await assert.rejects(source.get('x', { signal: abort.signal }), reason);
});
