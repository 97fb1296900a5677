/** HTTP sources with what others wrote: certificates of openssl, busybox's httpd. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { run, startPiped } from '../system/run.ts';
import { collect } from './byte-reader.ts';
import { HttpSource, type HttpSourceOptions } from './http-source.ts';
import { bytesListener, serveStore } from './store-server.fixture.ts';

const FAILED = { code: 'SOURCE_FAILED' };

function open(t: TestContext, url: string, options: HttpSourceOptions = {}): HttpSource {
  const source = new HttpSource(url, options);
  t.after(() => source.close());
  return source;
}

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-http-'));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  return directory;
}

test('https is spoken with a server that the given authority vouches for, and with no other', async (t) => {
  const directory = await scratch(t);
  const [keyPath, certPath] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  const subject = ['-subj', '/CN=bladeroot test', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', keyPath];
  await run('openssl', ['req', '-x509', ...key, ...subject, '-out', certPath]);
  const tls = { key: await readFile(keyPath, 'utf8'), cert: await readFile(certPath, 'utf8') };
  const served = await serveStore(t, bytesListener(Buffer.from('0123456789')), tls);

  const source = open(t, served.url, { ca: tls.cert });
  assert.equal((await collect(await source.get('x'))).toString(), '0123456789');
  assert.equal((await collect(await source.get('x', { start: 4, end: 6 }))).toString(), '45');
  assert.equal(served.connections, 1);
  await assert.rejects(open(t, served.url).get('x'), { ...FAILED, hint: /no authority .* vouches/ });
  assert.equal(served.asked.length, 2, 'who is not trusted is asked nothing');
});

test('a store is read from a web server that others wrote (busybox httpd)', async (t) => {
  const directory = await scratch(t);
  const bytes = randomBytes(3 * 1024 * 1024 + 77);
  await mkdir(join(directory, 'store/packs'), { recursive: true });
  await writeFile(join(directory, 'store/packs/x'), bytes);
  const source = open(t, `http://127.0.0.1:${await serveWithBusybox(t, directory)}/store`);
  assert.ok(bytes.equals(await collect(await source.get('packs/x'))));
  for (const [start, end] of [
    [0, 1024 ** 2],
    [1024 ** 2, 2 * 1024 ** 2],
    [bytes.length - 5, undefined],
  ] as const) {
    assert.ok(bytes.subarray(start, end).equals(await collect(await source.get('packs/x', { start, end }))));
  }
  await assert.rejects(source.get('packs/y'), { code: 'SOURCE_MISSING' });
});

/** Each connection is handed to an httpd of its own, as inetd does; returns the port. */
async function serveWithBusybox(t: TestContext, directory: string): Promise<number> {
  const server = createServer((socket) => {
    const httpd = startPiped('busybox', ['httpd', '-i', '-h', directory]);
    socket.pipe(httpd.stdin);
    httpd.stdout.pipe(socket);
    socket.on('error', () => httpd.kill('SIGTERM'));
    httpd.done.catch(() => socket.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}
