/** A secret on its whole way, from `secret set` to the file on its blade; and that it is in clear nowhere else. */
import assert from 'node:assert/strict';
import { lstat, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { sampleMachine } from '../src/fleet/machine.fixture.ts';
import { folderOf } from '../src/fleet/folder.fixture.ts';
import { decryptWith } from '../src/secrets/age.ts';
import { fingerprint } from '../src/secrets/fingerprint.ts';
import { newIdentity, writeIdentity } from '../src/secrets/identity-file.ts';
import { fetchBlob } from '../src/store/fetch.ts';
import { HttpSource } from '../src/store/http-source.ts';
import { run, runForBytes } from '../src/system/run.ts';
import { publishedRoot, serveRoot, succeeds } from './published-root.fixture.ts';
import { deploy, fleetYaml, secretWords, setFromStdin, WEB01 } from './secrets.fixture.ts';

/** All files below a folder that have one of the words in them: as they are, in base64 or hex, or behind zstd. */
async function filesWith(folder: string, words: readonly string[]): Promise<string[]> {
  const forms = words.flatMap((word) => [
    Buffer.from(word),
    // Base64 wherever the word begins in its groups of three bytes; the ends depend on what is beside it.
    ...[0, 1, 2].map((before) => {
      const text = Buffer.from('x'.repeat(before) + word).toString('base64');
      return Buffer.from(text.slice(before === 0 ? 0 : 4, -4));
    }),
    Buffer.from(Buffer.from(word).toString('hex')),
  ]);
  const found: string[] = [];
  let searched = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path);
    const texts: Buffer[] = [bytes, Buffer.from(path)];
    if (bytes.length >= 4 && bytes.readUInt32LE(0) === 0xfd2fb528)
      texts.push(await runForBytes('zstd', ['-dc', '--memory=512MB'], { input: bytes }));
    if (forms.some((form) => texts.some((text) => text.includes(form)))) found.push(path);
    searched++;
  }
  assert.ok(searched > 0, folder);
  return found;
}

test('a secret is in clear on its blade alone, with its mode; nowhere on the root, in the store, or in an answer', async (t) => {
  const away = await folderOf(t, {});
  const [recovery, web01, db01] = [await newIdentity(), await newIdentity(), await newIdentity()];
  await writeIdentity(join(away, 'recovery.key'), recovery);
  const where = await publishedRoot(t, {
    'fleet.yaml': fleetYaml(recovery, { web01: web01.recipient, db01: db01.recipient }),
    'overlays/web/etc/motd': 'web\n',
    'overlays/db/etc/motd': 'db\n',
  });
  const [key, password] = [secretWords(), secretWords()];
  await writeFile(join(away, 'web.key'), key);
  const logs = [
    await succeeds(
      where,
      'secret',
      'set',
      'web',
      '/etc/ssl/private/web.key',
      '--from',
      join(away, 'web.key'),
    ),
    await setFromStdin(where, 'db', '/etc/db/password', password),
    await succeeds(where, 'secret', 'list'),
    await succeeds(where, 'secret', 'list', '--json'),
    await succeeds(where, 'release', 'publish'),
    await succeeds(where, 'release', 'show', '--json'),
  ];
  assert.match(logs[0] ?? '', /can be read by web01, the recovery identity\n$/);

  const { url, publicKey, events } = await serveRoot(t, where);
  const machine = sampleMachine({ mac: WEB01 });
  const directory = await folderOf(t, {});
  const deployed = await deploy(url, { machine, identity: web01, publicKey, directory });

  const file = join(deployed.slot, 'etc/ssl/private/web.key');
  assert.equal(await readFile(file, 'utf8'), key);
  const { mode, uid, gid } = await lstat(file);
  assert.deepEqual([mode & 0o7777, uid, gid], [0o600, 0, 0]);
  assert.equal(await readFile(join(deployed.slot, 'etc/motd'), 'utf8'), 'web\n');

  const words = [key, password];
  assert.deepEqual(await filesWith(deployed.slot, words), [file], 'the search finds it where it is');
  assert.deepEqual(await filesWith(where.state, words), []);
  assert.deepEqual(await filesWith(where.fleet, words), []);
  assert.deepEqual(await filesWith(deployed.state, words), [], "the blade's own mirror");
  const answers = await Promise.all(
    ['/api/v1/machines', '/api/v1/status', '/releases/current', '/boot/web01/script.ipxe'].map(
      async (path) => await (await fetch(url + path)).text(),
    ),
  );
  assert.match(answers[0] ?? '', new RegExp(web01.recipient));
  const told = [...logs, ...deployed.said, ...answers, JSON.stringify(events.since(0))].join('\n');
  for (const word of words) assert.ok(!told.includes(word));
  for (const { secret } of [web01, db01, recovery]) {
    assert.ok(!told.includes(secret), 'private keys are not told either');
    assert.deepEqual(await filesWith(where.state, [secret]), []);
  }

  // The blade's archive is ciphertext, of its own overlays alone.
  const archive = join(directory, 'secrets.tar');
  await writeFile(archive, deployed.secrets ?? '');
  const { stdout } = await run('tar', ['--list', '--verbose', '--numeric-owner', '--file', archive]);
  assert.match(stdout, /^-rw------- 0\/0 .* etc\/ssl\/private\/web\.key\n$/);
  const inArchive = await runForBytes('tar', ['-xOf', archive]);
  assert.deepEqual(
    inArchive,
    await readFile(join(where.fleet, 'overlays/web/secrets/etc/ssl/private/web.key.age')),
  );
  await assert.rejects(decryptWith(inArchive, [db01.secret], 'it'), { code: 'SECRET_UNREADABLE' });
  assert.equal((await decryptWith(inArchive, [recovery.secret], 'it')).toString(), key);
});

test('a machine with the MAC of a blade and another identity gets no secret, and the root tells of it', async (t) => {
  const [recovery, web01, thief] = [await newIdentity(), await newIdentity(), await newIdentity()];
  const where = await publishedRoot(t, {
    'fleet.yaml': fleetYaml(recovery, { web01: web01.recipient }),
    'overlays/web/etc/motd': 'web\n',
    'overlays/db/': '',
  });
  const key = secretWords();
  await setFromStdin(where, 'web', '/etc/key', key);
  await succeeds(where, 'release', 'publish');
  const { url, publicKey, events } = await serveRoot(t, where);
  const directory = await folderOf(t, {});
  const machine = sampleMachine({ mac: WEB01 });
  const { slot, blade, secrets } = await deploy(url, { machine, identity: thief, publicKey, directory });
  assert.equal(blade.name, 'web01');
  assert.ok(blade.secrets !== undefined && secrets === undefined);
  assert.equal(await readFile(join(slot, 'etc/motd'), 'utf8'), 'web\n', 'the image is no secret');
  assert.deepEqual(await filesWith(directory, [key]), []);
  // It can fetch what anybody can, which helps it nothing.
  const archive = await fetchBlob(new HttpSource(`${url}/store`), blade.secrets.digest, blade.secrets.bytes);
  const ciphertext = await runForBytes('tar', ['-xOf', '-'], { input: archive });
  await assert.rejects(decryptWith(ciphertext, [thief.secret], 'it'), { code: 'SECRET_UNREADABLE' });
  const event = events.since(0).find(({ type }) => type === 'machine.other-identity');
  assert.ok(event?.type === 'machine.other-identity');
  assert.deepEqual([event.mac, event.blade, event.recipient], [WEB01, 'web01', thief.recipient]);
  assert.match(event.message, new RegExp(`identity ${fingerprint(thief.recipient)} is not the accepted one`));
});
