/** The key that signs, on the command line: with a passphrase, elsewhere, and carried by blades. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fetchImage, fetchRest } from '../src/slot/fetch-image.ts';
import { serveRelease } from '../src/agent/release.fixture.ts';
import { promote } from '../src/blade/promote.ts';
import { writeBladeState } from '../src/blade/state.ts';
import { folderOf } from '../src/fleet/folder.fixture.ts';
import { createKeys, readPublicKey, writePublicKey } from '../src/release/keys.ts';
import { ReleaseRepository, type SignedRelease } from '../src/release/repository.ts';
import { HttpSource } from '../src/store/http-source.ts';
import { Store } from '../src/store/store.ts';
import { place, PROGRAM, type Place } from './bladeroot.fixture.ts';
import { FLEET_FOLDER, publishableTree } from './publish.fixture.ts';

const WORDS = 'seven blue horses';

interface Scene extends Place {
  /** Runs it, which has to succeed; what it says. */
  done(...args: string[]): Promise<{ stdout: string; stderr: string }>;
  /** Runs it, which has to fail; what it says on stderr. */
  refused(...args: string[]): Promise<string>;
  /** A file whose first line is the passphrase. */
  words: string;
  tree: string;
  current(): Promise<SignedRelease>;
}

async function setScene(t: TestContext, folder: Record<string, string> = FLEET_FOLDER): Promise<Scene> {
  const where = await place(t, folder);
  const tree = await publishableTree(t);
  const words = join(await folderOf(t, { words: `${WORDS}\nand more\n` }), 'words');
  return {
    ...where,
    words,
    tree: `${tree}/`,
    async done(...args) {
      const { status, stdout, stderr } = await where.bladeroot(args);
      assert.equal(status, 0, stderr);
      return { stdout, stderr };
    },
    async refused(...args) {
      const { status, stdout, stderr } = await where.bladeroot(args);
      assert.equal(status, 1, stdout);
      return stderr;
    },
    async current() {
      const release = await new ReleaseRepository(where.state, await readPublicKey(where.state)).current();
      assert.ok(release !== undefined);
      return release;
    },
  };
}

test('a key with a passphrase signs with it alone; releases carry it, encrypted, until it has none', async (t) => {
  const { state, done, refused, words, tree, current } = await setScene(t);
  await rm(join(state, 'keys'), { recursive: true, force: true });
  await done('init', '--passphrase-file', words);
  // No terminal, no file: nothing is guessed, nothing is signed.
  assert.match(await refused('snapshot', 'pack', tree), /no terminal .* give it with --passphrase-file/);
  await done('snapshot', 'pack', tree, '--passphrase-file', words);
  const { stderr } = await done('release', 'publish', '--passphrase-file', words);
  assert.doesNotMatch(stderr, /warning/);
  const { statement } = await current();
  const store = await Store.open(join(state, 'store'));
  assert.ok(statement.key !== undefined);
  const carried = await readFile(store.blobPath(statement.key.digest), 'utf8');
  assert.match(carried, /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
  assert.match((await done('key', 'show')).stdout, /blades {3}carry it, encrypted, with release 1 /);

  const again = await done('release', 'publish', '--passphrase-file', words);
  assert.match(again.stdout, /^nothing has changed since release 1: no new one was made/);

  // Without a passphrase blades do not carry it, which is said each time.
  await done('key', 'passphrase', '--remove', '--passphrase-file', words);
  const plain = await done('release', 'publish');
  assert.match(plain.stderr, /warning: .* no blade carries it.*bladeroot key passphrase/);
  assert.match(plain.stdout, /^release 2: /);
  assert.equal((await current()).statement.key, undefined);
  assert.match((await done('key', 'show')).stdout, /without a passphrase/);
});

test('a blade that was promoted publishes with the passphrase, out of what it carries', async (t) => {
  const loopback = FLEET_FOLDER['fleet.yaml'].replaceAll('10.77.', '127.77.');
  const root = await setScene(t, { ...FLEET_FOLDER, 'fleet.yaml': loopback });
  await createKeys(root.state, async () => WORDS);
  await root.done('snapshot', 'pack', root.tree, '--passphrase-file', root.words);
  await root.done('release', 'publish', '--passphrase-file', root.words);
  const release = await root.current();
  const publicKey = await readPublicKey(root.state);

  // What the agent does, from a root over HTTP.
  const blade = await setScene(t);
  const url = await serveRelease(t, await Store.open(join(root.state, 'store')), release);
  const slot = await folderOf(t, {});
  const request = {
    release,
    toRun: release,
    publicKey,
    source: new HttpSource(`${url}/store`),
    mirror: await Store.open(join(blade.state, 'store')),
    directory: slot,
  };
  await fetchImage(request);
  await fetchRest(request);
  await writePublicKey(blade.state, publicKey);
  await new ReleaseRepository(blade.state, publicKey).put(release);
  await writeBladeState(blade.state, { name: 'web01', roots: [], slots: {} });
  assert.match(await blade.refused('release', 'publish', '--passphrase-file', blade.words), /no fleet key/);

  // The root is gone, with all that it had.
  await rm(root.state, { recursive: true });
  const port = await answerAt(t, '127.77.0.11');
  await withoutSystemd(t);
  const seen = await promote({
    stateDirectory: blade.state,
    fleetDirectory: blade.fleet,
    port,
    onStep: () => undefined,
  });
  assert.equal(seen.canPublish, true);
  assert.equal((await stat(join(blade.state, 'keys/release.key'))).mode & 0o777, 0o600);

  const same = await blade.done('release', 'publish', '--passphrase-file', blade.words);
  assert.match(same.stdout, /^nothing has changed since release 1/);
  await writeFile(join(blade.fleet, 'overlays/web/etc/motd'), 'the root was lost\n');
  const wrong = await folderOf(t, { words: 'seven red horses\n' });
  assert.match(
    await blade.refused('release', 'publish', '--passphrase-file', join(wrong, 'words')),
    /the passphrase is not that of this key/,
  );
  const next = await blade.done('release', 'publish', '--passphrase-file', blade.words, '-m', 'goes on');
  assert.match(next.stdout, /^release 2: /);
  const { statement } = await blade.current();
  assert.equal(statement.key?.digest, release.statement.key?.digest);
  assert.notEqual(statement.blades[0]?.overlay.digest, release.statement.blades[0]?.overlay.digest);
});

/** The boot services, as far as promote asks them. */
async function answerAt(t: TestContext, address: string): Promise<number> {
  const server = createServer((_request, response) => void response.end());
  server.listen(0, address);
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const at = server.address();
  assert.ok(at !== null && typeof at === 'object');
  return at.port;
}

/** A machine whose systemctl takes whatever it is told. */
async function withoutSystemd(t: TestContext): Promise<void> {
  const folder = await folderOf(t, { systemctl: '#!/bin/sh\n' });
  const path = process.env['PATH'] ?? '';
  process.env['PATH'] = `${folder}:${path}`;
  t.after(() => {
    process.env['PATH'] = path;
  });
}

test('a key that is kept elsewhere signs from there: as a file, or behind a command', async (t) => {
  const { state, fleet, done, refused, tree, current } = await setScene(t);
  await createKeys(state);
  const away = await folderOf(t, {});
  const key = join(away, 'release.key');
  await rename(join(state, 'keys/release.key'), key);
  assert.match(await refused('snapshot', 'pack', tree), /no fleet key .* --key or --sign-with/);
  await done('snapshot', 'pack', tree, '--key', key);
  const { stderr } = await done('release', 'publish', '--key', key);
  assert.doesNotMatch(stderr, /warning/);
  assert.equal((await current()).statement.key, undefined);

  await writeFile(join(fleet, 'overlays/web/etc/motd'), 'signed by openssl\n');
  const signer = `cat > ${away}/bytes; openssl pkeyutl -sign -rawin -inkey ${key} -in ${away}/bytes`;
  assert.match((await done('release', 'publish', '--sign-with', signer)).stdout, /^release 2: /);
  assert.equal((await current()).statement.sequence, 2);

  const other = join(await folderOf(t, {}), 'other');
  await createKeys(other);
  await writeFile(join(fleet, 'overlays/web/etc/motd'), 'signed by nobody\n');
  const stranger = join(other, 'keys/release.key');
  assert.match(await refused('release', 'publish', '--key', stranger), /is another key .* than this fleet's/);
  assert.match(
    await refused('release', 'publish', '--sign-with', 'head -c 64 /dev/urandom'),
    /a signature of another key/,
  );
  assert.equal((await current()).statement.sequence, 2);
  // A fleet whose key was never here begins with its public half.
  const fresh = join(await folderOf(t, {}), 'fresh');
  const publicKey = join(other, 'keys/release.pub');
  const folder = await folderOf(t, {});
  await done('init', '--public-key', publicKey, '--state', fresh, '--fleet', folder);
  const said = JSON.parse((await done('key', 'show', '--json', '--state', fresh)).stdout);
  assert.equal(said.private, 'elsewhere');
  assert.equal(said.publicKey, await readFile(publicKey, 'utf8'));
});

test('at a terminal the passphrase is asked for, and not shown', async (t) => {
  const { state, done, tree } = await setScene(t);
  await createKeys(state);
  await mkdir(join(state, 'store'), { recursive: true });
  const set = await atTerminal(
    state,
    ['key', 'passphrase'],
    [
      [/New passphrase for .*release\.key: /, 'seven blue hoards'],
      [/once more: /, 'seven blue hoards'],
    ],
  );
  assert.equal(set.status, 0, set.shown);
  assert.doesNotMatch(set.shown, /hoards/);
  const differing = await atTerminal(
    state,
    ['key', 'passphrase'],
    [
      [/Passphrase for /, 'seven blue hoardd\u007fs'],
      [/New passphrase/, 'eight green cows'],
      [/once more: /, 'eight green cow'],
    ],
  );
  assert.equal(differing.status, 1);
  assert.match(differing.shown, /the two passphrases are not the same/);
  const packed = await atTerminal(state, ['snapshot', 'pack', tree], [[/Passphrase/, 'seven blue hoards']]);
  assert.equal(packed.status, 0, packed.shown);
  assert.match((await done('snapshot', 'list')).stdout, /bladeroot-tree/);
  const stopped = await atTerminal(state, ['snapshot', 'pack', tree], [[/Passphrase/, 'sev\u0003']]);
  assert.notEqual(stopped.status, 0);
  assert.match(stopped.shown, /no passphrase was given/);
});

/** Runs it on a terminal of its own (script(1)), and types an answer to each question once it is asked. */
async function atTerminal(
  state: string,
  args: string[],
  answers: [question: RegExp, answer: string][],
): Promise<{ status: number | null; shown: string }> {
  const command = [PROGRAM, ...args].map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    env: { ...process.env, BLADEROOT_STATE: state },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let shown = '';
  let from = 0;
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    shown += chunk;
    const [next] = answers;
    const asked = next === undefined ? null : next[0].exec(shown.slice(from));
    if (next === undefined || asked === null) return;
    from += asked.index + asked[0].length;
    answers.shift();
    child.stdin.write(`${next[1]}\r`);
  });
  const [status] = await once(child, 'close');
  return { status: typeof status === 'number' ? status : null, shown };
}
