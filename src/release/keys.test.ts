import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { keyId } from './envelope.ts';
import {
  createKeys,
  placeCarriedKey,
  privateKeyFile,
  readPrivateKey,
  readPublicKey,
  writePrivateKey,
  writePublicKey,
} from './keys.ts';
import { sampleKey } from './release.fixture.ts';

async function stateDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-keys-'));
  t.after(async () => await rm(directory, { recursive: true }));
  return directory;
}

test('a pair is made once and then kept; the private half is for root only', async (t) => {
  const state = await stateDirectory(t);
  assert.equal(await createKeys(state), true);
  const made = await readFile(join(state, 'keys/release.key'));
  assert.equal(await createKeys(state), false);
  assert.deepEqual(await readFile(join(state, 'keys/release.key')), made);
  assert.equal((await stat(join(state, 'keys/release.key'))).mode & 0o777, 0o600);
  assert.equal((await stat(join(state, 'keys'))).mode & 0o777, 0o700);
  assert.equal(keyId(await readPublicKey(state)), keyId(await readPrivateKey(state)));
});

test('a public half that a power cut has swallowed comes back from the private one', async (t) => {
  const state = await stateDirectory(t);
  await createKeys(state);
  await rm(join(state, 'keys/release.pub'));
  assert.equal(await createKeys(state), false);
  assert.equal(keyId(await readPublicKey(state)), keyId(await readPrivateKey(state)));
});

const words = async (): Promise<string> => 'seven blue horses';

test('a key that is made under a passphrase opens with it alone', async (t) => {
  const state = await stateDirectory(t);
  assert.equal(await createKeys(state, words), true);
  assert.equal((await privateKeyFile(state)).kind, 'encrypted');
  assert.equal(keyId(await readPrivateKey(state, words)), keyId(await readPublicKey(state)));
  await assert.rejects(readPrivateKey(state), { code: 'NO_PASSPHRASE', hint: /--passphrase-file/ });
  await assert.rejects(
    readPrivateKey(state, async () => 'seven blue horse'),
    { code: 'WRONG_PASSPHRASE' },
  );
  await rm(join(state, 'keys/release.pub'));
  assert.equal(await createKeys(state, words), false);
  assert.equal(keyId(await readPrivateKey(state, words)), keyId(await readPublicKey(state)));
});

test('what a release carries takes the place of another encrypted key, and of none, never of an open one', async (t) => {
  const state = await stateDirectory(t);
  await createKeys(state, words);
  const first = await privateKeyFile(state);
  assert.ok(first.kind === 'encrypted');
  const key = await readPrivateKey(state, words);
  await writePrivateKey(state, key, 'eight green horses');
  assert.equal(await placeCarriedKey(state, first.pem), true);
  assert.deepEqual(await privateKeyFile(state), first);
  assert.equal((await stat(join(state, 'keys/release.key'))).mode & 0o777, 0o600);

  await writePrivateKey(state, key, undefined);
  assert.equal(await placeCarriedKey(state, first.pem), false);
  assert.deepEqual(await privateKeyFile(state), { kind: 'plain' });

  await rm(join(state, 'keys/release.key'));
  assert.deepEqual(await privateKeyFile(state), { kind: 'elsewhere' });
  assert.equal(await placeCarriedKey(state, first.pem), true);
  assert.deepEqual(await privateKeyFile(state), first);
});

test('on a promoted blade no new key takes the place of the one that the fleet trusts', async (t) => {
  const state = await stateDirectory(t);
  const trusted = createPublicKey(sampleKey());
  await writePublicKey(state, trusted);
  await assert.rejects(createKeys(state), { code: 'NOT_THE_FIRST_ROOT', hint: /first root/ });
  assert.equal(keyId(await readPublicKey(state)), keyId(trusted));
});

test('without a key the error says which file is missing and what makes it', async (t) => {
  const state = await stateDirectory(t);
  await assert.rejects(readPublicKey(state), {
    code: 'NO_KEY',
    message: `there is no fleet key at ${state}/keys/release.pub`,
    hint: /bladeroot init/,
  });
  await assert.rejects(readPrivateKey(state), { code: 'NO_KEY', hint: /--key or --sign-with/ });
});

test('a file that is no ed25519 key is named, in no words of OpenSSL', async (t) => {
  const state = await stateDirectory(t);
  await createKeys(state);
  await writeFile(join(state, 'keys/release.pub'), 'hello\n');
  await writeFile(join(state, 'keys/release.key'), '');
  const message = /keys\/release\.\w+ is no ed25519 key in PEM form$/;
  await assert.rejects(readPublicKey(state), { code: 'KEY_DAMAGED', message });
  await assert.rejects(readPrivateKey(state), { code: 'KEY_DAMAGED', message });
});
