import assert from 'node:assert/strict';
import { lstat, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { folderOf } from '../fleet/folder.fixture.ts';
import { encodeOverlay } from '../overlay/archive.ts';
import { fileEntry } from '../overlay/entry.ts';
import { encryptTo } from '../secrets/age.ts';
import { newIdentity } from '../secrets/identity-file.ts';
import { laySecrets } from './lay-secrets.ts';

const identity = await newIdentity();

async function archiveOf(files: Record<string, { clear: string; mode: number; uid?: number; gid?: number }>) {
  const entries = Object.entries(files).map(async ([path, { clear, mode, uid = 0, gid = 0 }]) => {
    const ciphertext = await encryptTo(Buffer.from(clear), [identity.recipient]);
    return { ...fileEntry(path, ciphertext, 'test', mode), uid, gid };
  });
  return encodeOverlay(await Promise.all(entries));
}

test('secrets are decrypted into files with their owner and mode, whatever was there and whatever the umask', async (t) => {
  const directory = await folderOf(t, { 'etc/': '', 'etc/taken': 'old', 'etc/.key.bladeroot': 'half a k' });
  await symlink('/etc/shadow', join(directory, 'etc/link'));
  const archive = await archiveOf({
    'etc/key': { clear: 'the key\0', mode: 0o640, uid: 33, gid: 44 },
    'etc/link': { clear: 'no link', mode: 0o600 },
    'etc/taken': { clear: '', mode: 0o444 },
  });
  const before = process.umask(0o077);
  try {
    assert.equal(await laySecrets(archive, directory, identity.secret), 3);
    // A second try finds what the first has left.
    assert.equal(await laySecrets(archive, directory, identity.secret), 3);
  } finally {
    process.umask(before);
  }
  const facts = async (name: string) => {
    const { mode, uid, gid } = await lstat(join(directory, name));
    return [mode.toString(8), uid, gid, await readFile(join(directory, name), 'utf8')];
  };
  assert.deepEqual(await facts('etc/key'), ['100640', 33, 44, 'the key\0']);
  assert.deepEqual(await facts('etc/link'), ['100600', 0, 0, 'no link']);
  assert.deepEqual(await facts('etc/taken'), ['100444', 0, 0, '']);
  assert.deepEqual((await readdir(join(directory, 'etc'))).sort(), ['key', 'link', 'taken']);
});

test('what another blade can read is not written, and the file of that name stays', async (t) => {
  const directory = await folderOf(t, { 'etc/key': 'old' });
  const archive = await archiveOf({ 'etc/key': { clear: 'new', mode: 0o600 } });
  const other = await newIdentity();
  await assert.rejects(laySecrets(archive, directory, other.secret), {
    code: 'SECRET_UNREADABLE',
    message: /^\/etc\/key: /,
  });
  assert.deepEqual(await readdir(join(directory, 'etc')), ['key']);
  assert.equal(await readFile(join(directory, 'etc/key'), 'utf8'), 'old');
});

test('a file that cannot be written leaves nothing behind', async (t) => {
  const directory = await folderOf(t, {});
  await mkdir(join(directory, 'etc/key/full'), { recursive: true });
  await writeFile(join(directory, 'etc/key/full/of'), 'things');
  const archive = await archiveOf({ 'etc/key': { clear: 'new', mode: 0o600 } });
  await assert.rejects(laySecrets(archive, directory, identity.secret), { code: 'EISDIR' });
  assert.deepEqual(await readdir(join(directory, 'etc')), ['key']);
});
