import assert from 'node:assert/strict';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { folderOf } from '../fleet/folder.fixture.ts';
import { readSecrets, secretFile, secretPath, writeSecret } from './folder.ts';

const CIPHERTEXT = Buffer.from(
  '-----BEGIN AGE ENCRYPTED FILE-----\nYQ==\n-----END AGE ENCRYPTED FILE-----\n',
);
const secret = {
  overlay: 'web',
  path: 'etc/ssl/key.pem',
  ciphertext: CIPHERTEXT,
  recipients: ['age1b', 'age1a'],
};

test('a secret is a file with its path, and beside it stands who can read it', async (t) => {
  const fleet = await folderOf(t, { 'overlays/web/': '', 'overlays/db/': '' });
  await writeSecret(fleet, { ...secret, path: 'etc/zz' });
  await writeSecret(fleet, secret);
  const found = await readSecrets(fleet, 'web');
  assert.deepEqual(
    found.map(({ path, file, recipients }) => [path, file, recipients]),
    [
      ['etc/ssl/key.pem', 'overlays/web/secrets/etc/ssl/key.pem.age', ['age1b', 'age1a']],
      ['etc/zz', 'overlays/web/secrets/etc/zz.age', ['age1b', 'age1a']],
    ],
  );
  assert.deepEqual(found[0]?.ciphertext, CIPHERTEXT);
  assert.deepEqual(await readSecrets(fleet, 'db'), []);
  assert.equal((await stat(join(fleet, found[0]?.file ?? ''))).mode & 0o777, 0o644);
});

test('of a file that something else has written, nobody knows who can read it', async (t) => {
  const fleet = await folderOf(t, { 'overlays/web/': '' });
  await writeSecret(fleet, secret);
  await writeFile(join(fleet, secretFile('web', secret.path)), `${CIPHERTEXT.toString()}\n`);
  assert.equal((await readSecrets(fleet, 'web'))[0]?.recipients, undefined);
});

test('what is gone is forgotten when the next secret is written', async (t) => {
  const fleet = await folderOf(t, { 'overlays/web/': '' });
  await writeSecret(fleet, secret);
  await rm(join(fleet, secretFile('web', secret.path)));
  await writeSecret(fleet, { ...secret, path: 'etc/other' });
  const record = JSON.parse(await readFile(join(fleet, 'overlays/web/secrets/recipients.json'), 'utf8'));
  assert.deepEqual(Object.keys(record), ['etc/other.age']);
});

test('what lies there in clear is refused, whatever it is called', async (t) => {
  const cases = {
    'etc/key.pem': 'clear',
    'etc/key.pem.age': 'clear',
    'etc/link.age': '->key.pem.age',
    'etc/key.pem.age~': CIPHERTEXT.toString(),
  };
  for (const [name, content] of Object.entries(cases)) {
    const fleet = await folderOf(t, { [`overlays/web/secrets/${name}`]: content });
    await assert.rejects(readSecrets(fleet, 'web'), {
      code: 'SECRET_IN_CLEAR',
      message: new RegExp(`^overlays/web/secrets/${name} is not encrypted`),
    });
  }
});

test('a damaged record is told, with its file', async (t) => {
  for (const text of ['{', '[]', '{"a": {"sha256": 1}}']) {
    const fleet = await folderOf(t, {
      'overlays/web/secrets/recipients.json': text,
      'overlays/web/secrets/a.age': CIPHERTEXT.toString(),
    });
    await assert.rejects(readSecrets(fleet, 'web'), {
      code: 'SECRETS_RECORD',
      message: /recipients\.json is damaged/,
    });
  }
});

test('a path is that of a file below the root of the blade', () => {
  assert.equal(secretPath('/etc/x'), 'etc/x');
  assert.equal(secretPath('etc/x'), 'etc/x');
  for (const path of ['', '/', '/etc/', '../etc/x', '/etc/../x', 'a//b', './a', 'a\0b']) {
    assert.throws(() => secretPath(path), { code: 'BAD_PATH' }, JSON.stringify(path));
  }
});
