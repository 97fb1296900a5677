import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { z } from 'zod';
import { folderOf } from '../fleet/folder.fixture.ts';
import { openEnvelope, seal } from './envelope.ts';
import { sampleKey } from './release.fixture.ts';
import { publicHalf, sealWith, signingCommand } from './signing-key.ts';

const TYPE = 'application/test';
const key = sampleKey();
const publicKey = createPublicKey(key);
const expected = { payloadType: TYPE, schema: z.object({ word: z.string() }), what: 'the test' };

/** The script of docs/releases.md, with a key of its own. */
async function opensslScript(t: TestContext): Promise<string> {
  const docs = await readFile(new URL('../../docs/releases.md', import.meta.url), 'utf8');
  const script = /```sh\n(#!\/bin\/sh\n[^`]*openssl pkeyutl[^`]*)```/.exec(docs)?.[1];
  assert.ok(script !== undefined, 'docs/releases.md has the example');
  const folder = await folderOf(t, {
    'sign.sh': script.replace('/media/usb/release.key', '"${0%/*}/release.key"'),
  });
  await writeFile(join(folder, 'release.key'), key.export({ type: 'pkcs8', format: 'pem' }));
  return `sh ${join(folder, 'sign.sh')}`;
}

test('the example of the documentation signs with openssl, as the key itself does', async (t) => {
  const command = await opensslScript(t);
  const external = signingCommand(command, publicKey);
  assert.equal(publicHalf(external), publicKey);
  const envelope = await sealWith(TYPE, { word: 'grüß' }, external);
  assert.equal(envelope, seal(TYPE, { word: 'grüß' }, key));
  assert.deepEqual(openEnvelope(envelope, expected, publicKey), { word: 'grüß' });
});

test('a signature of another key, or what is none, is not taken', async (t) => {
  const command = await opensslScript(t);
  const other = signingCommand(command, createPublicKey(sampleKey()));
  await assert.rejects(other.sign(Buffer.from('text')), {
    code: 'SIGNING_FAILED',
    message: /a signature of another key$/,
  });
  await assert.rejects(signingCommand('cat', publicKey).sign(Buffer.from('text')), {
    code: 'SIGNING_FAILED',
    message: /a signature of 4 bytes$/,
  });
});

test('what the command says when it fails is told', async () => {
  const broken = signingCommand('echo the token is locked >&2; exit 3', publicKey);
  await assert.rejects(broken.sign(Buffer.from('text')), {
    code: 'PROGRAM_FAILED',
    message: /ended with status 3: the token is locked$/,
  });
});
