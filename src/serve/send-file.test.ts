import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir, readlink, truncate, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { folderOf } from '../fleet/folder.fixture.ts';
import { run, startPiped } from '../system/run.ts';
import { curl, serveHttp } from './http-server.fixture.ts';
import { parseRange, sendFile, sendText } from './send-file.ts';

const CONTENT = '0123456789';

async function serveContent(t: TestContext, content = CONTENT): Promise<string> {
  const directory = await folderOf(t, { file: content });
  return await serveHttp(t, (request, response) => sendFile(request, response, join(directory, 'file')));
}

test('HTTP-23: HEAD then GET, both with the exact Content-Length', async (t) => {
  const url = await serveContent(t);
  const head = await curl(url, '--head');
  const whole = await curl(url);
  assert.deepEqual([head.status, head.headers.get('content-length'), head.body], [200, '10', '']);
  assert.deepEqual([whole.status, whole.headers.get('content-length'), whole.body], [200, '10', CONTENT]);
  assert.equal(head.headers.get('accept-ranges'), 'bytes');
});

test('HTTP-23: ranges from the start, to the end, of the last bytes, and longer than the file', async (t) => {
  const url = await serveContent(t);
  for (const [range, body, said] of [
    ['0-0', '0', 'bytes 0-0/10'],
    ['2-4', '234', 'bytes 2-4/10'],
    ['7-', '789', 'bytes 7-9/10'],
    ['-3', '789', 'bytes 7-9/10'],
    ['-99', CONTENT, 'bytes 0-9/10'],
    ['8-99', '89', 'bytes 8-9/10'],
  ] as const) {
    const answer = await curl(url, '--range', range);
    assert.deepEqual(
      [answer.status, answer.body, answer.headers.get('content-range')],
      [206, body, said],
      range,
    );
    assert.equal(answer.headers.get('content-length'), String(body.length), range);
  }
});

test('HTTP-23: a range behind the end is 416 with the size', async (t) => {
  const answer = await curl(await serveContent(t), '--range', '10-');
  assert.deepEqual([answer.status, answer.headers.get('content-range')], [416, 'bytes */10']);
});

test('HTTP-23: what is no range, or several, or cannot be trusted to be of this file, gets the whole', async (t) => {
  const url = await serveContent(t);
  for (const header of ['bytes=4-2', 'bytes=-', 'bytes=0-1,3-4', 'lines=1-2', 'bytes=a-b']) {
    const answer = await curl(url, '--header', `Range: ${header}`);
    assert.deepEqual([answer.status, answer.body], [200, CONTENT], header);
  }
  const resumed = await curl(url, '--range', '2-', '--header', 'If-Range: "another file"');
  assert.deepEqual([resumed.status, resumed.body], [200, CONTENT]);
});

test('HTTP-23: HEAD tells the size of the whole, whatever range it names (RFC 9110 14.2)', async (t) => {
  const answer = await curl(await serveContent(t), '--head', '--header', 'Range: bytes=20-');
  assert.deepEqual([answer.status, answer.headers.get('content-length')], [200, '10']);
});

test('HTTP-24: a client of HTTP/1.0 without Accept gets the bytes as they are, and the end of the connection', async (t) => {
  const url = await serveContent(t);
  const answer = await curl(url, '--http1.0', '--header', 'Accept:', '--header', 'Accept-Encoding: gzip');
  assert.deepEqual([answer.status, answer.body], [200, CONTENT]);
  assert.equal(answer.headers.get('content-length'), '10');
  assert.equal(answer.headers.get('transfer-encoding'), undefined);
  assert.equal(answer.headers.get('content-encoding'), undefined);
  assert.equal(answer.headers.get('connection'), 'close');
});

test('an empty file is sent, and has no ranges', async (t) => {
  const url = await serveContent(t, '');
  const answer = await curl(url);
  assert.deepEqual([answer.status, answer.headers.get('content-length')], [200, '0']);
  assert.equal((await curl(url, '--range', '0-')).status, 416);
});

test('a file that is not there is 404', async (t) => {
  const url = await serveHttp(t, (request, response) => sendFile(request, response, '/nosuch/file'));
  assert.equal((await curl(url)).status, 404);
});

test('parseRange: sizes and numbers beyond all bounds', () => {
  assert.deepEqual(parseRange(`bytes=0-${'9'.repeat(400)}`, 5), { start: 0, end: 5 });
  assert.equal(parseRange(`bytes=${'9'.repeat(400)}-`, 5), 'unsatisfiable');
  assert.equal(parseRange('bytes=-0', 5), 'unsatisfiable');
  assert.equal(parseRange('bytes=-5', 0), 'unsatisfiable');
});

/** How many descriptors of this process are open at a path. */
async function openAt(path: string): Promise<number> {
  const targets = (await readdir('/proc/self/fd')).map(
    // The directory itself was among them, and is closed by now.
    async (fd) => await readlink(`/proc/self/fd/${fd}`).catch(() => ''),
  );
  return (await Promise.all(targets)).filter((target) => target === path).length;
}

test('clients that go away in the middle leave no file open, and are no error', async (t) => {
  const path = join(await folderOf(t, { file: '' }), 'file');
  await truncate(path, 256 * 1024 * 1024);
  const answers: ReturnType<typeof sendFile>[] = [];
  const url = await serveHttp(t, (request, response) => {
    const answer = sendFile(request, response, path);
    answers.push(answer);
    return answer;
  });
  for (let client = 0; client < 4; client++) {
    const leaver = startPiped('curl', ['--silent', '--no-buffer', '--limit-rate', '1k', url]);
    await once(leaver.stdout, 'data');
    assert.equal(await openAt(path), 1);
    leaver.kill('SIGKILL');
    await assert.rejects(leaver.done, { code: 'PROGRAM_FAILED' });
    const { done, total } = (await answers.at(-1)) ?? {};
    assert.ok(total === 256 * 1024 * 1024 && done !== undefined && done > 0 && done < total, `${done} bytes`);
    assert.equal(await openAt(path), 0);
  }
  assert.equal(answers.length, 4);
});

test('HTTP-23: a client that takes nothing is broken off, and its file closed', async (t) => {
  const path = join(await folderOf(t, { file: '' }), 'file');
  await truncate(path, 256 * 1024 * 1024);
  const answered = Promise.withResolvers<void>();
  const url = await serveHttp(t, async (request, response) => {
    const answer = sendFile(request, response, path, { stallMs: 50 }).then(() => undefined);
    answered.resolve(answer);
    await answer;
  });
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  t.after(() => socket.destroy());
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  socket.pause();
  await answered.promise;
  assert.equal(await openAt(path), 0);
});

test('HTTP-23: a script is answered at once while 100 clients fetch a large file', async (t) => {
  const path = join(await folderOf(t, { file: '' }), 'file');
  await truncate(path, 4 * 1024 * 1024);
  const url = await serveHttp(t, async (request, response) => {
    if (request.url === '/script') sendText(response, 200, '#!ipxe\n');
    else await sendFile(request, response, path);
  });
  const sizes: number[] = [];
  const slowest: number[] = [];
  const clients = Array.from({ length: 100 }, async () => {
    const [response] = await once(get(url, { agent: false }), 'response');
    let size = 0;
    for await (const chunk of response) size += chunk.length;
    sizes.push(size);
  });
  const everyone = Promise.all(clients);
  const fetched = new AbortController();
  void everyone.then(() => fetched.abort());
  while (!fetched.signal.aborted) {
    const { stdout } = await run('curl', ['-sS', '-w', '%{time_total}', '-o', '/dev/null', `${url}/script`]);
    slowest.push(Number(stdout));
  }
  await everyone;
  assert.deepEqual(new Set(sizes), new Set([4 * 1024 * 1024]));
  // Clients and server share this one thread; of a machine of its own the bench asks for 200 ms.
  const middle = slowest.sort((left, right) => left - right)[Math.floor(slowest.length / 2)] ?? 0;
  assert.ok(middle < 1, `the script took ${middle} s`);
});

test('a file that shrinks while it is sent breaks the answer off: it never looks whole', async (t) => {
  const path = join(await folderOf(t, { file: '' }), 'file');
  const size = 64 * 1024 * 1024;
  await truncate(path, size);
  const failed = Promise.withResolvers<unknown>();
  const url = await serveHttp(t, async (request, response) => {
    await sendFile(request, response, path).catch((error: unknown) => {
      failed.resolve(error);
      response.destroy();
    });
  });
  const request = get(url);
  const [response] = await once(request, 'response');
  await writeFile(path, 'short');
  let received = 0;
  response.on('data', (chunk: Buffer) => (received += chunk.length));
  await assert.rejects(once(response, 'end'));
  assert.ok(received < size);
  assert.match(String(await failed.promise), /became shorter/);
  assert.equal(await openAt(path), 0);
});
