import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode } from '../errors.ts';
import { ByteReader, collect } from './byte-reader.ts';
import { HttpSource, type HttpSourceOptions } from './http-source.ts';
import { bytesListener, serveStore } from './store-server.fixture.ts';

const FAILED = { code: 'SOURCE_FAILED' };

function open(t: TestContext, url: string, options: HttpSourceOptions = {}): HttpSource {
  const source = new HttpSource(url, options);
  t.after(() => source.close());
  return source;
}

test('it asks for the range it wants, and one connection is enough for all that is asked', async (t) => {
  const served = await serveStore(t, (request, response) => {
    if (request.url === '/store/none') response.writeHead(404).end('there is no such file here');
    else bytesListener(Buffer.from('0123456789'))(request, response);
  });
  const source = open(t, served.url);
  assert.equal((await collect(await source.get('x'))).toString(), '0123456789');
  assert.equal((await collect(await source.get('x', { start: 4 }))).toString(), '456789');
  await assert.rejects(source.get('none'));
  assert.equal((await collect(await source.get('x', { end: 4 }))).toString(), '0123');
  assert.equal((await collect(await source.get('x', { start: 10, end: 12 }))).toString(), '');
  // A reader that takes just what it needs, and then leaves.
  const reader = new ByteReader(await source.get('x', { start: 3, end: 5 }), () => new Error('cut off'));
  assert.equal((await reader.read(2)).toString(), '34');
  await reader.close();
  assert.equal((await collect(await source.get('x', { start: 8, end: 20 }))).toString(), '89');
  assert.equal((await collect(await source.get('x', { start: 8, end: 8 }))).toString(), '');
  assert.deepEqual(served.asked, [
    'GET /store/x',
    'GET /store/x bytes=4-',
    'GET /store/none',
    'GET /store/x bytes=0-3',
    'GET /store/x bytes=10-11',
    'GET /store/x bytes=3-4',
    'GET /store/x bytes=8-19',
  ]);
  assert.equal(served.connections, 1);
});

test('a server that knows no ranges is lived with: what is before is skipped, what is beyond not waited for', async (t) => {
  const { url } = await serveStore(t, (request, response) => {
    response.write('0123456789');
    if (request.url === '/store/whole') response.end();
  });
  const source = open(t, url);
  assert.equal((await collect(await source.get('whole', { start: 4 }))).toString(), '456789');
  assert.equal((await collect(await source.get('endless', { start: 4, end: 6 }))).toString(), '45');
  await assert.rejects(collect(await source.get('whole', { start: 11 })), FAILED);
});

test('another range than the one asked for is refused', async (t) => {
  const { url } = await serveStore(t, (_, response) => {
    response.writeHead(206, { 'content-range': 'bytes 0-3/10' }).end('0123');
  });
  await assert.rejects(open(t, url).get('x', { start: 4, end: 8 }), {
    ...FAILED,
    message: /asked for bytes 4 to 7, the server sends bytes 0-3\/10/,
  });
});

test('what is missing, a server that fails and one that is not there are told apart', async (t) => {
  const { url } = await serveStore(t, (request, response) => {
    response.writeHead(Number(request.url?.slice('/store/'.length))).end('<Error/>');
  });
  const source = open(t, url);
  await assert.rejects(source.get('404'), {
    code: 'SOURCE_MISSING',
    message: /404 answered with status 404/,
  });
  await assert.rejects(source.get('403'), { code: 'SOURCE_MISSING', message: /status 403/, hint: /bucket/ });
  await assert.rejects(source.get('500'), { ...FAILED, message: /status 500/ });
  await assert.rejects(source.get('204'), FAILED);
  await assert.rejects(open(t, 'http://127.0.0.1:1/').get('x'), { ...FAILED, hint: /is the root running/ });
});

test('an answer that is no file is not read without end', async (t) => {
  const { url } = await serveStore(t, (_, response) => {
    response.writeHead(404);
    const pour = (): void => void response.write(Buffer.alloc(100_000));
    response.on('drain', pour);
    pour();
  });
  await assert.rejects(open(t, url).get('x'), { code: 'SOURCE_MISSING' });
});

test('a connection that breaks, in the middle or before anything is read, is a failure', async (t) => {
  const broken = Promise.withResolvers<void>();
  const { url } = await serveStore(t, (_, response) => {
    response.writeHead(200, { 'content-length': 100 });
    response.write('some', () => {
      response.destroy();
      broken.resolve();
    });
  });
  const source = open(t, url);
  const body = await source.get('x');
  await broken.promise;
  await sleep(20);
  await assert.rejects(collect(body), { ...FAILED, message: /x failed: the connection was cut off/ });
});

test('a server that falls silent counts as dead, a reader that is busy does not', async (t) => {
  const { url } = await serveStore(t, (request, response) => {
    if (request.url === '/store/mute') return;
    if (request.url === '/store/mute404') response.writeHead(404, { 'content-length': 9 }).write('no');
    else response.write('first');
    if (request.url === '/store/whole') setTimeout(() => response.end('second'), 150);
  });
  const source = open(t, url, { patience: 100 });
  await assert.rejects(source.get('mute'), { ...FAILED, message: /nothing came for 0.1 seconds/ });
  await assert.rejects(source.get('mute404'), { ...FAILED, message: /nothing came for/ });
  await assert.rejects(collect(await source.get('stalls')), { message: /nothing came for/ });

  let text = '';
  for await (const chunk of await source.get('whole')) {
    text += chunk.toString();
    await sleep(200);
  }
  assert.equal(text, 'firstsecond');
});

test('waiting is aborted with the reason given', async (t) => {
  const { url } = await serveStore(t, (_, response) => void response.write('first'));
  const source = open(t, url);
  const abort = new AbortController();
  const reason = new Error('enough');
  const body = await source.get('x', { signal: abort.signal });
  await assert.rejects(async () => {
    for await (const chunk of body) abort.abort(chunk.length > 0 ? reason : undefined);
  }, reason);
  await assert.rejects(source.get('x', { signal: abort.signal }), reason);
});

test('a connection is let go of when its reader leaves, even before the first byte', async (t) => {
  const closed: Promise<unknown>[] = [];
  const { url } = await serveStore(t, (_, response) => {
    closed.push(once(response, 'close'));
    response.write('first');
  });
  const source = open(t, url);
  await (await source.get('x'))[Symbol.asyncIterator]().return?.();
  for await (const chunk of await source.get('y')) if (chunk.length > 0) break;
  assert.equal(closed.length, 2);
  await Promise.all(closed);
});

test('a kept connection that the server has closed since is made anew; a new one that breaks is not', async (t) => {
  const perConnection = new WeakMap<object, number>();
  const served = await serveStore(t, (request, response) => {
    const earlier = perConnection.get(request.socket) ?? 0;
    perConnection.set(request.socket, earlier + 1);
    if (earlier > 0 || request.url === '/store/breaks') request.socket.resetAndDestroy();
    else response.end('whole');
  });
  const source = open(t, served.url);
  assert.equal((await collect(await source.get('x'))).toString(), 'whole');
  assert.equal((await collect(await source.get('y'))).toString(), 'whole');
  assert.equal(served.connections, 2);
  await assert.rejects(open(t, served.url).get('breaks'), {
    ...FAILED,
    message: /the connection was cut off/,
  });
  assert.equal(served.connections, 3);
});

test('an answer that breaks off on a kept connection is not asked for a second time unnoticed', async (t) => {
  const served = await serveStore(t, (request, response) => {
    if (request.url === '/store/x') response.end('whole');
    else response.write('some', () => request.socket.resetAndDestroy());
  });
  const source = open(t, served.url);
  await collect(await source.get('x'));
  await assert.rejects(async () => await collect(await source.get('breaks')), FAILED);
  await sleep(50);
  assert.deepEqual(served.asked, ['GET /store/x', 'GET /store/breaks']);
});

test('user, password and query of the URL go with every request, and into no message', async (t) => {
  const authorizations: (string | undefined)[] = [];
  const served = await serveStore(t, (request, response) => {
    authorizations.push(request.headers.authorization);
    if (request.url?.includes('missing') === true) response.writeHead(404).end();
    else bytesListener(Buffer.from('0123456789'))(request, response);
  });
  const base = served.url.replace('127', 'us%2Fer:s3cret@127').replace(/\/$/, '?X-Signature=s3cret#s3cret');
  const source = open(t, base);
  assert.equal(source.name, served.url);
  assert.equal((await collect(await source.get('packs/x', { start: 8 }))).toString(), '89');
  await assert.rejects(source.get('missing'), {
    message: `${served.url}missing answered with status 404`,
  });
  assert.deepEqual(served.asked, [
    'GET /store/packs/x?X-Signature=s3cret bytes=8-',
    'GET /store/missing?X-Signature=s3cret',
  ]);
  const expected = `Basic ${Buffer.from('us/er:s3cret').toString('base64')}`;
  assert.deepEqual(authorizations, [expected, expected]);

  const noUrls = [
    'ftp://user:s3cret@host/x?s3cret',
    'http://user:s3/cr3t@ho st/',
    'http://a:s3%ZZ@host/',
    'nonsense?s3cret',
  ];
  for (const text of noUrls) {
    assert.throws(
      () => new HttpSource(text),
      (error) => {
        assert.equal(errorCode(error), 'SOURCE_URL');
        assert.doesNotMatch(String(error), /s3|cr3t/);
        return true;
      },
    );
  }
});

test('a redirect is followed with the range, and without anything secret where it leads elsewhere', async (t) => {
  const authorizations: (string | undefined)[] = [];
  const bucket = await serveStore(t, (request, response) => {
    authorizations.push(request.headers.authorization);
    bytesListener(Buffer.from('0123456789'))(request, response);
  });
  const served = await serveStore(t, (request, response) => {
    authorizations.push(request.headers.authorization);
    const moved = request.url?.startsWith('/moved/') === true;
    const location = moved
      ? `${bucket.url.replace('127', 'a:b@127')}object?signature=short-lived`
      : `/moved${request.url ?? ''}`;
    response.writeHead(moved ? 307 : 301, { location }).end('moved');
  });
  const source = open(t, served.url.replace('127', 'user:pass@127').concat('?secret'));
  assert.equal((await collect(await source.get('x', { start: 4, end: 6 }))).toString(), '45');
  assert.deepEqual(served.asked, ['GET /store/x?secret bytes=4-5', 'GET /moved/store/x?secret bytes=4-5']);
  assert.deepEqual(bucket.asked, ['GET /store/object?signature=short-lived bytes=4-5']);
  const own = `Basic ${Buffer.from('user:pass').toString('base64')}`;
  assert.deepEqual(authorizations, [own, own, undefined]);
  assert.equal(served.connections, 1);
});

test('redirects that lead in a circle, or to what is no web server, are failures', async (t) => {
  const served = await serveStore(t, (request, response) => {
    const location = {
      '/store/circle': '/store/circle',
      '/store/ftp': 'ftp://host/x',
      '/store/bad': 'http://:',
    };
    for (const [path, target] of Object.entries(location)) {
      if (request.url === path) response.setHeader('location', target);
    }
    response.writeHead(302).end();
  });
  const source = open(t, served.url);
  await assert.rejects(source.get('circle'), { ...FAILED, message: /redirected more than 5 times/ });
  assert.equal(served.asked.length, 6);
  for (const path of ['ftp', 'bad', 'nowhere']) {
    await assert.rejects(source.get(path), { ...FAILED, message: /redirected to nowhere/ });
  }
});
