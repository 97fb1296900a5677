import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { BladerootEvent } from '../events/catalogue.ts';
import { folderOf } from '../fleet/folder.fixture.ts';
import { blobOf, sampleKey, sampleRelease, sampleStatement } from '../release/release.fixture.ts';
import { blobPath, packIndexPath, packPath, manifestPath, snapshotPath, tagPath } from '../store/layout.ts';
import { answerBootRequest, scriptUrl } from './boot-http.ts';
import { curl, serveHttp } from './http-server.fixture.ts';

const ID = 'ab'.repeat(32);
const LOADER = 'MZ, a loader\n';
const release = sampleRelease(sampleKey(), {
  sequence: 3,
  loaders: { 'snponly.efi': blobOf(LOADER) },
});

interface Served {
  url: string;
  events: BladerootEvent[];
  /** Resolves when there are so many events, one when left out. */
  told(count?: number): Promise<void>;
}

async function serveBoots(t: TestContext, served = release): Promise<Served> {
  const directory = await folderOf(t, {
    'keys/release.key': 'secret',
    'state.db': 'secret',
    [`store/${blobPath(blobOf('kernel').digest)}`]: 'kernel',
    [`store/${blobPath(blobOf('initrd').digest)}`]: 'initrd',
    [`store/${blobPath(blobOf(LOADER).digest)}`]: LOADER,
    [`store/${packPath(ID)}`]: 'pack',
    [`store/${packIndexPath(ID)}`]: 'index',
    [`store/${manifestPath(ID)}`]: 'manifest',
    [`store/${snapshotPath(ID)}`]: 'snapshot',
    [`store/${tagPath('web')}`]: ID,
    'store/lock': 'half a secret',
    [`store/packs/${ID}.part`]: 'half a pack',
    'store/tmp/aside': 'half a blob',
  });
  const events: BladerootEvent[] = [];
  const heard = new EventEmitter();
  // A client may have the last byte before it is told.
  const told = async (count = 1): Promise<void> => {
    while (events.length < count) await once(heard, 'event');
  };
  const url = await serveHttp(t, async (request, response) => {
    const answered = await answerBootRequest(request, response, {
      storeDirectory: join(directory, 'store'),
      url: 'http://10.77.0.1:8067',
      current: () => served,
      plan: ({ name }) => ({ kind: name === 'web01' ? 'agent' : 'local-disk' }),
      whoIs: (address: string) => ({ blade: address }),
      onEvent: (event) => {
        events.push(event);
        heard.emit('event');
      },
    });
    if (!answered) response.writeHead(501).end('not of a boot');
  });
  return { url, events, told };
}

test('HTTP-23: a boot asks HEAD, then GET; each event is emitted once, for GET', async (t) => {
  const { url, events, told } = await serveBoots(t);
  for (const file of ['script.ipxe', 'vmlinuz', 'initrd']) {
    const head = await curl(`${url}/boot/web01/${file}`, '--head');
    assert.deepEqual([head.status, head.body, events], [200, '', []], file);
    const whole = await curl(`${url}/boot/web01/${file}`);
    assert.equal(whole.headers.get('content-length'), head.headers.get('content-length'), file);
    assert.equal(whole.headers.get('content-length'), String(whole.body.length), file);
    await told();
    const seen = events.splice(0);
    assert.equal(seen.length, 1, file);
    const type = { 'script.ipxe': 'boot.script', vmlinuz: 'boot.kernel', initrd: 'boot.initrd' }[file];
    assert.equal(seen[0]?.type, type);
    assert.ok(seen[0] !== undefined && 'blade' in seen[0] && seen[0].blade === 'web01');
    if (file !== 'script.ipxe') assert.deepEqual(seen[0], { type, blade: 'web01', done: 6, total: 6 });
  }
});

test('HTTP-23: a loader is there by its name, with HEAD, then GET, of exact length', async (t) => {
  const { url, events } = await serveBoots(t);
  const loader = `${url}/boot/loaders/snponly.efi`;
  const head = await curl(loader, '--head');
  assert.deepEqual([head.status, head.body], [200, '']);
  assert.equal(head.headers.get('content-length'), String(LOADER.length));
  assert.deepEqual(events, []);
  const whole = await curl(loader);
  assert.deepEqual([whole.status, whole.body], [200, LOADER]);
  assert.equal(whole.headers.get('content-length'), String(LOADER.length));
  assert.deepEqual(events, [{ type: 'boot.loader', blade: '127.0.0.1', message: 'snponly.efi' }]);
});

test("kernel and initrd are the current release's", async (t) => {
  const { url } = await serveBoots(t);
  assert.equal((await curl(`${url}/boot/web01/vmlinuz`)).body, 'kernel');
  assert.equal((await curl(`${url}/boot/mail01/initrd?again`)).body, 'initrd');
});

test('HTTP-24: firmware of HTTP/1.0 gets its script at once, uncompressed and with its length', async (t) => {
  const { url } = await serveBoots(t);
  const path = new URL(scriptUrl(url, 'web01'));
  const answer = await curl(
    path.href,
    '--http1.0',
    '--header',
    'Accept:',
    '--header',
    'Accept-Encoding: gzip',
  );
  assert.equal(answer.status, 200);
  assert.match(answer.body, /^#!ipxe\n/);
  assert.equal(answer.headers.get('content-length'), String(answer.body.length));
  assert.equal(answer.headers.get('content-encoding'), undefined);
  assert.equal(answer.headers.get('location'), undefined);
});

test("the script carries out the blade's plan, and names the root as blades reach it", async (t) => {
  const { url, events } = await serveBoots(t);
  const agent = (await curl(`${url}/boot/web01/script.ipxe`)).body;
  assert.match(
    agent,
    /kernel .*http:\/\/10\.77\.0\.1:8067\/boot\/web01\/vmlinuz .*BOOTIF=01-52-54-00-77-00-11/,
  );
  assert.match((await curl(`${url}/boot/mail01/script.ipxe`)).body, /sanboot/);
  assert.deepEqual(
    events.map((event) => 'message' in event && event.message),
    ['agent', 'local-disk'],
  );
});

test('the script has the menu that the release says, and a memory test when the release has one', async (t) => {
  const menu = sampleRelease(sampleKey(), {
    loaders: { 'memtest.bin': blobOf('bin'), 'memtest.efi': blobOf('efi') },
    blades: sampleStatement().blades.map((blade) => ({
      ...blade,
      boot: { default: 'rescue', timeout: 7 },
    })),
  });
  const { url } = await serveBoots(t, menu);
  const script = (await curl(`${url}/boot/web01/script.ipxe`)).body;
  assert.match(script, /^choose --default rescue --timeout 7000 /m);
  assert.match(script, /http:\/\/10\.77\.0\.1:8067\/boot\/loaders\/memtest\.efi/);
});

test('the release goes out in the very bytes that were signed', async (t) => {
  const { url } = await serveBoots(t);
  const answer = await curl(`${url}/releases/current`);
  assert.equal(answer.body, release.envelope.toString());
  assert.equal(answer.headers.get('content-length'), String(release.envelope.length));
  assert.equal((await curl(`${url}/releases/current`, '--head')).body, '');
});

test('all that a blade fetches of the store is there, with ranges', async (t) => {
  const { url } = await serveBoots(t);
  for (const [path, body] of [
    [packPath(ID), 'pack'],
    [packIndexPath(ID), 'index'],
    [manifestPath(ID), 'manifest'],
    [snapshotPath(ID), 'snapshot'],
    [tagPath('web'), ID],
  ]) {
    assert.equal((await curl(`${url}/store/${path}`)).body, body);
  }
  assert.equal((await curl(`${url}/store/${packPath(ID)}`, '--range', '1-2')).body, 'ac');
});

test('nothing beside the store can be asked for, whatever a path looks like', async (t) => {
  const { url, events } = await serveBoots(t);
  for (const path of [
    '/store/../keys/release.key',
    '/store/blobs/../../keys/release.key',
    '/store/%2e%2e/keys/release.key',
    '/store/..%2fkeys%2frelease.key',
    `/store/blobs/${ID}/../../../state.db`,
    '/store//etc/passwd',
    '/store/tmp/aside',
    '/store/lock',
    '/store/tags/../lock',
    `/store/packs/${ID}.part`,
    `/store/packs/${ID}.pack%00`,
    `/store/packs/${ID.toUpperCase()}.pack`,
    '/store/',
    '/store/blobs',
    '/boot/../keys/release.key',
    '/boot/web01/../../keys/release.key',
    '/boot/web01/',
    '/boot/web01/script.ipxe/',
    '/boot/loaders/ipxe-arm64.efi',
    '/boot/loaders/../web01/x',
    '/boot/loaders/constructor',
    '/boot/loaders/',
    '/releases/1.json',
    '/releases/../state.db',
  ]) {
    const answer = await curl(`${url}${path}`);
    assert.equal(answer.status, 404, path);
    assert.doesNotMatch(answer.body, /secret|half/, path);
  }
  assert.deepEqual(events, []);
});

test("a blade that another DHCP server has sent here is known by its card's address", async (t) => {
  const { url, events } = await serveBoots(t);
  const byAddress = await curl(`${url}/boot/52-54-00-77-00-11/script.ipxe`);
  assert.equal(byAddress.body, (await curl(`${url}/boot/web01/script.ipxe`)).body);
  assert.deepEqual(
    events.map((event) => 'blade' in event && event.blade),
    ['web01', 'web01'],
  );
  const stranger = (await curl(`${url}/boot/52-54-00-77-00-99/script.ipxe`)).body;
  assert.equal(stranger, (await curl(scriptUrl(url, 'unknown'))).body, 'who is no blade comes to be adopted');
});

test('a blade that the release does not know is told so', async (t) => {
  const { url, events } = await serveBoots(t);
  const answer = await curl(`${url}/boot/db01/script.ipxe`);
  assert.deepEqual([answer.status, answer.body], [404, 'release 3 has no blade db01\n']);
  assert.deepEqual(events, []);
});

test('a machine without a name gets a script, kernel and initrd of the current release, by its address', async (t) => {
  const { url, events, told } = await serveBoots(t);
  const { body } = await curl(scriptUrl(url, 'unknown'));
  const kernel = /kernel .*:8067\/boot\/unknown\/vmlinuz .*BOOTIF=01-\$\{netX\/mac:hexhyp\} .* quiet /;
  assert.match(body, kernel);
  assert.equal((await curl(`${url}/boot/unknown/vmlinuz`)).body, 'kernel');
  assert.equal((await curl(`${url}/boot/unknown/initrd`)).body, 'initrd');
  await told(3);
  assert.deepEqual(events, [
    { type: 'boot.script', blade: '127.0.0.1', message: 'unknown' },
    { type: 'boot.kernel', blade: '127.0.0.1', done: 6, total: 6 },
    { type: 'boot.initrd', blade: '127.0.0.1', done: 6, total: 6 },
  ]);
});

test('only GET and HEAD, as Allow says', async (t) => {
  const { url } = await serveBoots(t);
  const answer = await curl(`${url}/boot/web01/vmlinuz`, '--request', 'PUT');
  assert.deepEqual([answer.status, answer.headers.get('allow')], [405, 'GET, HEAD']);
});

test('what is no request of a boot is left to the API', async (t) => {
  const { url } = await serveBoots(t);
  for (const path of ['/', '/api/v1/status', '/storeroom/x', '//store/x']) {
    assert.equal((await curl(url + path)).status, 501, path);
  }
});

test('where there are no blades yet, a machine gets the kernel arguments that fleet.yaml has for all', async (t) => {
  const { url } = await serveBoots(
    t,
    sampleRelease(sampleKey(), { blades: [], kernelArgs: ['console=ttyS1'] }),
  );
  assert.match((await curl(scriptUrl(url, 'unknown'))).body, /kernel .* console=ttyS1 /);
});
