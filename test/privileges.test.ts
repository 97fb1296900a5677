/** What `bladeroot serve` may do, once it serves. */
import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { SERVE_USER } from '../src/daemon/privileges.ts';
import { readPublicKey } from '../src/release/keys.ts';
import { ReleaseRepository } from '../src/release/repository.ts';
import { releaseBlobs } from '../src/release/statement.ts';
import { run } from '../src/system/run.ts';
import { publishedRoot, succeeds } from './published-root.fixture.ts';
import { needsRoot, SERVED, Serving, serveStranger, stateWithRelease, WIRE, Wire } from './serve.fixture.ts';

const FLEET = `name: lab
network: { subnet: 10.99.0.0/24 }
blades:
  web01: { mac: "${WIRE.mac}", address: ${WIRE.bladeAddress} }
`;

/** The lines of /proc/PID/task/TID/status. */
async function statusOf(pid: number, thread: string): Promise<Map<string, string>> {
  const text = await readFile(`/proc/${pid}/task/${thread}/status`, 'utf8');
  return new Map(
    text
      .split('\n')
      .map((line): [string, string] => [line.split(':')[0] ?? '', line.split(':')[1]?.trim() ?? '']),
  );
}

/** What the kernel lets that user do, with the rights that the process was seen to have: `done`, or why not. */
async function asUser(...command: string[]): Promise<string> {
  const rights = ['--reuid', SERVE_USER, '--regid', SERVE_USER, '--clear-groups'];
  return await run('setpriv', [...rights, '--', ...command]).then(
    () => 'done',
    (error: unknown) => String(error),
  );
}

const url = (path: string): string => `http://${WIRE.address}:8067${path}`;

test(
  'after its ports are open it is a user of its own, in every thread, without groups and capabilities',
  { skip: needsRoot, timeout: 60_000 },
  async (t) => {
    const [wire, state] = [await Wire.make(t), await stateWithRelease(t)];
    const serving = await Serving.start(wire, state);
    t.after(() => serving.stop());
    const uid = (await run('id', ['-u', SERVE_USER])).stdout.trim();
    const gid = (await run('id', ['-g', SERVE_USER])).stdout.trim();
    assert.notEqual(uid, '0');

    const threads = await readdir(`/proc/${serving.pid}/task`);
    assert.ok(threads.length > 4, `${threads.length} threads`);
    for (const thread of threads) {
      const status = await statusOf(serving.pid, thread);
      assert.equal(status.get('Uid'), [uid, uid, uid, uid].join('\t'));
      assert.equal(status.get('Gid'), [gid, gid, gid, gid].join('\t'));
      assert.equal(status.get('Groups'), '');
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'])
        assert.equal(status.get(set), '0'.repeat(16), set);
    }
    assert.equal((await statusOf(serving.pid, String(serving.pid))).get('NoNewPrivs'), '1');
  },
);

test(
  'it goes on serving and keeping its events, and the next one finds them',
  { skip: needsRoot, timeout: 60_000 },
  async (t) => {
    const { wire, state, serving } = await serveStranger(t);
    const kernel = await wire.inClient('curl', '-sSf', url('/boot/web01/vmlinuz'));
    assert.equal(kernel.stdout, SERVED.kernel);
    const loader = await wire.inClient('curl', '-sS', `tftp://${WIRE.address}/undionly.kpxe`);
    assert.equal(loader.stdout, SERVED.loader);
    await serving.until('boot.loader');
    await serving.stop();
    assert.doesNotMatch(serving.stderr, /recording|readonly|EACCES/);

    // The next one finds them, and is not hindered by what the first one left.
    const again = await Serving.start(wire, state);
    t.after(() => again.stop());
    const events = await wire.inClient('curl', '-sSf', url('/api/v1/events'));
    assert.match(events.stdout, /boot\.kernel.*\n.*boot\.loader.*\n.*root\.started/);
    const story = await run(join(import.meta.dirname, '../bin/bladeroot'), [
      'blade',
      'boots',
      WIRE.blade,
      '--state',
      state,
    ]);
    assert.match(story.stdout, /kernel, 0\.0 MB/);
  },
);

test(
  'a release that an administrator of umask 077 publishes beside it is served at once, with all its files',
  { skip: needsRoot, timeout: 120_000 },
  async (t) => {
    const before = process.umask(0o077);
    t.after(() => process.umask(before));
    const [wire, where] = [await Wire.make(t), await publishedRoot(t, { 'fleet.yaml': FLEET })];
    await run('chmod', ['o+x', dirname(where.state)]);
    const serving = await Serving.start(wire, where.state);
    t.after(() => serving.stop());
    await run('ip', ['-n', wire.client, 'address', 'add', `${WIRE.stranger}/24`, 'dev', WIRE.client]);
    const get = async (path: string): Promise<string> =>
      (await wire.inClient('curl', '-sSf', url(path))).stdout;
    assert.match(await get('/boot/web01/script.ipxe'), /release 1/);

    await succeeds(where, 'blade', 'set', 'web01', '--kernel-args', 'quiet', '--yes');
    await succeeds(where, 'release', 'publish');
    // The directory of the releases is watched; the kernel tells within milliseconds.
    const untilServed = `until curl -sSf ${url('/boot/web01/script.ipxe')} | grep -q 'release 2'; do sleep 0.05; done`;
    await wire.inClient('sh', '-c', untilServed);
    const releases = new ReleaseRepository(where.state, await readPublicKey(where.state));
    const { statement } = await releases.read(2);
    for (const { digest, bytes } of releaseBlobs(statement)) {
      const headers = await wire.inClient('curl', '-sSf', '--head', url(`/store/blobs/${digest}`));
      assert.match(headers.stdout, new RegExp(`^content-length: ${bytes}\r$`, 'im'));
    }
  },
);

test(
  'it can neither read the private key, nor write the store, the releases and the state directory',
  { skip: needsRoot, timeout: 60_000 },
  async (t) => {
    const [wire, state] = [await Wire.make(t), await stateWithRelease(t)];
    const serving = await Serving.start(wire, state);
    t.after(() => serving.stop());
    const [blob] = await readdir(join(state, 'store/blobs'));
    assert.equal(await asUser('cat', join(state, 'store/blobs', blob ?? '')), 'done');
    assert.equal(await asUser('test', '-w', join(state, 'state.db')), 'done');
    assert.match(await asUser('cat', join(state, 'keys/release.key')), /Permission denied/);
    for (const path of ['store/blobs/x', 'store/x', 'releases/9.json', 'x', 'keys/x']) {
      assert.match(await asUser('touch', join(state, path)), /Permission denied/, path);
    }
    assert.match(await asUser('rm', '-f', join(state, 'releases/1.json')), /Permission denied/);
  },
);

test(
  'what cannot be read afterwards is said at once, with the way to mend it',
  { skip: needsRoot, timeout: 60_000 },
  async (t) => {
    const [wire, state] = [await Wire.make(t), await stateWithRelease(t)];
    await run('chmod', ['700', state]);
    await assert.rejects(Serving.start(wire, state), /the user bladeroot cannot read .*; .*chmod o\+x/);
  },
);

test(
  'a user that does not exist is said before anything is opened; root keeps all rights when told so',
  { skip: needsRoot, timeout: 60_000 },
  async (t) => {
    const [wire, state] = [await Wire.make(t), await stateWithRelease(t)];
    await assert.rejects(
      Serving.start(wire, state, { args: ['--user', 'nosuch'] }),
      /there is no user nosuch.*useradd/,
    );
    assert.deepEqual((await readdir(state)).sort(), ['keys', 'releases', 'store']);
    const serving = await Serving.start(wire, state, { args: ['--user', 'root'] });
    t.after(() => serving.stop());
    assert.match((await statusOf(serving.pid, String(serving.pid))).get('Uid') ?? '', /^0\t0\t0\t0$/);
  },
);

test(
  'what an administrator of umask 077 makes can be read by the boot services, and the key by nobody',
  { skip: needsRoot, timeout: 60_000 },
  async (t) => {
    const before = process.umask(0o077);
    t.after(() => process.umask(before));
    const state = await stateWithRelease(t);
    const mode = async (path: string): Promise<string> =>
      ((await stat(join(state, path))).mode & 0o777).toString(8);
    assert.deepEqual(
      [await mode('.'), await mode('store/blobs'), await mode('releases'), await mode('releases/1.json')],
      ['755', '755', '755', '644'],
    );
    assert.deepEqual([await mode('keys'), await mode('keys/release.key')], ['700', '600']);
  },
);
