import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { folderOf } from '../fleet/folder.fixture.ts';
import { run } from '../system/run.ts';
import { decryptKey, encryptKey, isEncrypted } from './encrypted-key.ts';
import { keyId } from './envelope.ts';
import { sampleKey } from './release.fixture.ts';

const WORDS = 'Füchse mögen keine Äpfel';

test('a key comes back with its passphrase and with no other; no two encryptions are alike', () => {
  const key = sampleKey();
  const pem = encryptKey(key, WORDS);
  assert.ok(isEncrypted(pem));
  assert.ok(!isEncrypted(key.export({ type: 'pkcs8', format: 'pem' }).toString()));
  assert.equal(keyId(decryptKey(pem, WORDS)), keyId(key));
  assert.notEqual(encryptKey(key, WORDS), pem);
  for (const wrong of ['', WORDS.slice(1), WORDS.toLowerCase()]) {
    assert.throws(() => decryptKey(pem, wrong), { code: 'WRONG_PASSPHRASE' });
  }
});

test('openssl reads what is written here, and says that it is scrypt; what openssl writes is read here', async (t) => {
  const folder = await folderOf(t, { words: `${WORDS}\n` });
  const [mine, theirs] = [join(folder, 'mine.pem'), join(folder, 'theirs.pem')];
  const passphrase = `file:${join(folder, 'words')}`;
  const key = sampleKey();
  await writeFile(mine, encryptKey(key, WORDS));
  const { stdout } = await run('openssl', ['pkey', '-in', mine, '-passin', passphrase, '-pubout']);
  assert.equal(stdout, createPublicKey(key).export({ type: 'spki', format: 'pem' }));
  const structure = (await run('openssl', ['asn1parse', '-in', mine])).stdout;
  for (const word of ['PBES2', 'scrypt', 'aes-256-cbc', 'INTEGER           :4000']) {
    assert.ok(structure.includes(word), structure);
  }
  const plain = join(folder, 'plain.pem');
  await writeFile(plain, key.export({ type: 'pkcs8', format: 'pem' }));
  for (const scheme of [['-scrypt'], ['-v2', 'aes-256-cbc']]) {
    await run('openssl', [
      'pkcs8',
      '-topk8',
      ...scheme,
      '-in',
      plain,
      '-out',
      theirs,
      '-passout',
      passphrase,
    ]);
    const pem = await readFile(theirs, 'utf8');
    assert.ok(isEncrypted(pem));
    assert.equal(keyId(decryptKey(pem, WORDS)), keyId(key));
  }
});

test('longer keys than ed25519 are encoded as well, with lengths of two bytes', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  assert.deepEqual(
    decryptKey(encryptKey(privateKey, WORDS), WORDS).export({ type: 'pkcs8', format: 'der' }),
    privateKey.export({ type: 'pkcs8', format: 'der' }),
  );
});

test('a passphrase that is guessed in a day is refused', () => {
  assert.throws(() => encryptKey(sampleKey(), 'hunter2'), {
    code: 'PASSPHRASE_SHORT',
    message: 'a passphrase of 7 characters is too short',
  });
});
