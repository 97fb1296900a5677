/** A secret on its whole way, from `secret set` to the file on its blade; and that it is in clear nowhere else. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { sayHello } from '../src/agent/await-adoption.ts';
import { configure, slotMounts } from '../src/agent/configure.ts';
import { fetchImage } from '../src/agent/fetch-image.ts';
import { findRelease, type FoundRelease } from '../src/agent/find-release.ts';
import { keepIdentity } from '../src/agent/identity.ts';
import { fetchSecrets } from '../src/agent/lay-secrets.ts';
import { Reporter } from '../src/agent/reporter.ts';
import { sampleMachine } from '../src/fleet/machine.fixture.ts';
import { identityOf, type Machine } from '../src/fleet/machine.ts';
import { folderOf } from '../src/fleet/folder.fixture.ts';
import { decryptWith } from '../src/secrets/age.ts';
import { fingerprint } from '../src/secrets/fingerprint.ts';
import {
  newIdentity,
  RECOVERY_IDENTITY,
  writeIdentity,
  type Identity,
} from '../src/secrets/identity-file.ts';
import { fetchBlob } from '../src/store/fetch.ts';
import { HttpSource } from '../src/store/http-source.ts';
import { Store } from '../src/store/store.ts';
import { run, runForBytes } from '../src/system/run.ts';
import { place, PROGRAM, type Place } from './bladeroot.fixture.ts';
import { publishedRoot, serveRoot, succeeds } from './published-root.fixture.ts';

const WEB01 = '52:54:00:77:00:11';

function fleetYaml(recovery: Identity, recipients: Record<string, string> = {}): string {
  const blade = (name: string, mac: string, address: string, rest: string): string =>
    `  ${name}: { mac: "${mac}", address: ${address}, ${rest}${name in recipients ? `, recipient: ${recipients[name]}` : ''} }\n`;
  return `name: lab
network: { subnet: 10.77.0.0/24 }
secrets: { recovery: [${recovery.recipient}] }
profiles:
  web: { overlays: [web] }
  db: { overlays: [db] }
blades:
${blade('web01', WEB01, '10.77.0.11', 'profile: web')}${blade('db01', '52:54:00:77:00:21', '10.77.0.21', 'profile: db')}`;
}

/** Words that stand nowhere by chance. */
function secretWords(): string {
  return `the-key-is-${randomBytes(24).toString('hex')}`;
}

/** Gives what stands on stdin, which the fixture of the command line does not. */
async function setFromStdin(where: Place, overlay: string, path: string, clear: string): Promise<string> {
  const env = { BLADEROOT_STATE: where.state, BLADEROOT_FLEET: where.fleet };
  const { stdout, stderr } = await run(PROGRAM, ['secret', 'set', overlay, path], { env, input: clear });
  return stdout + stderr;
}

/** What the agent does of its own, but for the disk: from the root's answer to a configured slot. */
async function deploy(
  url: string,
  {
    machine,
    identity,
    publicKey,
    directory,
  }: {
    machine: Machine;
    identity: Identity;
    publicKey: Parameters<typeof findRelease>[1];
    directory: string;
  },
) {
  const said: string[] = [];
  const found = await findRelease([url], publicKey, identityOf(machine));
  assert.ok(found.blade !== undefined);
  const { blade, release }: FoundRelease = found;
  const reporter = new Reporter('boot', (line) => said.push(line));
  reporter.setTarget({ root: url, blade: blade.name });
  const state = join(directory, 'persist/bladeroot');
  const kept = await keepIdentity(state, identity);
  await sayHello(url, { ...machine, recipient: kept.recipient });
  const slot = join(directory, 'slot');
  await mkdir(slot);
  const source = new HttpSource(`${url}/store`);
  const mirror = await Store.open(join(state, 'store'));
  await fetchImage({ release, toRun: release, publicKey, source, mirror, directory: slot, reporter });
  const secrets = await fetchSecrets(source, blade, kept);
  await configure({
    directory: slot,
    mounts: slotMounts('a'),
    overlay: await fetchBlob(source, blade.overlay.digest, blade.overlay.bytes),
    secrets,
    identity: kept,
    mac: machine.mac,
    identityDirectory: join(state, 'identity'),
  });
  reporter.done('configure', 'configured');
  await reporter.flush();
  return { slot, state, blade, secrets, said };
}

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

/** A fleet folder without anything that could be published; `keys/recovery.key` is where `init` puts it. */
async function fleetOnly(t: TestContext, recipients: Record<string, string>) {
  const recovery = await newIdentity();
  const where = await place(t, {
    'fleet.yaml': fleetYaml(recovery, recipients),
    'overlays/web/': '',
    'overlays/db/': '',
  });
  await writeIdentity(join(where.state, RECOVERY_IDENTITY), recovery);
  return { where, recovery };
}

async function fails(where: Place, args: string[], said: RegExp): Promise<void> {
  const { status, stdout, stderr } = await where.bladeroot(args);
  assert.deepEqual([status, stdout], [1, ''], stderr);
  assert.match(stderr, said);
  assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
}

test('set, show, list, rekey: readers change with the fleet, and publishing waits for it', async (t) => {
  const [web01, db01] = [await newIdentity(), await newIdentity()];
  const { where, recovery } = await fleetOnly(t, { web01: web01.recipient });
  const key = secretWords();
  await setFromStdin(where, 'web', 'etc/key', key);
  assert.equal(await succeeds(where, 'secret', 'show', 'web', '/etc/key'), key);
  const list = async () => JSON.parse(await succeeds(where, 'secret', 'list', '--json')).at(-1);
  assert.deepEqual(await list(), {
    overlay: 'web',
    path: '/etc/key',
    file: 'overlays/web/secrets/etc/key.age',
    readers: ['web01', 'recovery'],
    waiting: [],
    state: 'ok',
  });
  assert.match(await succeeds(where, 'secret', 'rekey'), /all secrets are encrypted to those/);

  // Another machine has become web01: the file is for who was it before.
  await writeFile(join(where.fleet, 'fleet.yaml'), fleetYaml(recovery, { web01: db01.recipient }));
  assert.equal((await list()).state, `rekey: not for web01, still for ${web01.recipient}`);
  assert.match(
    await succeeds(where, 'secret', 'rekey'),
    /encrypted anew: overlays\/web\/secrets\/etc\/key\.age/,
  );
  assert.equal((await list()).state, 'ok');
  const path = join(where.fleet, 'overlays/web/secrets/etc/key.age');
  const ciphertext = await readFile(path);
  assert.equal((await decryptWith(ciphertext, [db01.secret], 'it')).toString(), key);
  await assert.rejects(decryptWith(ciphertext, [web01.secret], 'it'), { code: 'SECRET_UNREADABLE' });

  // What cannot be read stays as it was, and the rest is done.
  await setFromStdin(where, 'db', '/etc/other', secretWords());
  await writeFile(join(where.fleet, 'fleet.yaml'), fleetYaml(recovery, { db01: web01.recipient }));
  const only = join(where.state, 'only.key');
  await writeIdentity(only, db01);
  const other =
    /no identity here can read overlays\/db\/secrets\/etc\/other\.age \(1 others were encrypted anew\)/;
  await fails(where, ['secret', 'rekey', '--identity', only], other);
  await writeFile(join(where.fleet, 'fleet.yaml'), fleetYaml(recovery, { web01: db01.recipient }));
  await succeeds(where, 'secret', 'rekey');

  // A blade's own identity reads what is its own.
  const own = join(where.state, 'own.key');
  await writeIdentity(own, db01);
  assert.equal(await succeeds(where, 'secret', 'show', 'web', '/etc/key', '--identity', own), key);
  await rm(join(where.state, RECOVERY_IDENTITY));
  await fails(
    where,
    ['secret', 'show', 'web', '/etc/key'],
    /no identity here .*recovery identity.*--identity FILE/,
  );

  // Written by age itself: bladeroot cannot know for whom.
  const again = await runForBytes('age', ['-r', recovery.recipient], { input: key });
  await writeFile(path, again);
  const { readers, state } = await list();
  assert.deepEqual([readers, state], [undefined, 'rekey: written by something else']);
});

test('an editor sees the secret in memory alone, and what it leaves is encrypted', async (t) => {
  const { where, recovery } = await fleetOnly(t, {});
  const key = secretWords();
  await setFromStdin(where, 'db', '/etc/password', key);
  const seen = join(
    await folderOf(t, { 'ed.sh': `#!/bin/sh\necho "$1" >"$SEEN"; echo more >>"$1"\n` }),
    'ed.sh',
  );
  const env = {
    BLADEROOT_STATE: where.state,
    BLADEROOT_FLEET: where.fleet,
    EDITOR: seen,
    VISUAL: '',
    SEEN: join(where.state, 'seen'),
  };
  await run(PROGRAM, ['secret', 'edit', 'db', '/etc/password'], { env });
  const edited = (await readFile(env.SEEN, 'utf8')).trim();
  assert.match(edited, /^\/dev\/shm\/bladeroot-\w+\/password$/);
  await assert.rejects(lstat(edited), { code: 'ENOENT' });
  const ciphertext = await readFile(join(where.fleet, 'overlays/db/secrets/etc/password.age'));
  assert.equal((await decryptWith(ciphertext, [recovery.secret], 'it')).toString(), `${key}more\n`);

  // Somebody else is faster.
  const faster = join(
    await folderOf(t, {
      'ed.sh': `#!/bin/sh\necho lost >>"$1"; echo first | "$PROGRAM" secret set db /etc/password\n`,
    }),
    'ed.sh',
  );
  const other = run(PROGRAM, ['secret', 'edit', 'db', '/etc/password'], {
    env: { ...env, EDITOR: faster, PROGRAM },
  });
  await assert.rejects(other, /password\.age was changed by somebody else while you edited it/);
  assert.equal(await succeeds(where, 'secret', 'show', 'db', '/etc/password'), 'first\n');
});

test('what is wrong with a secret is told in one line, and never the secret', async (t) => {
  const { where } = await fleetOnly(t, {});
  const from = join(where.state, 'clear');
  await writeFile(from, secretWords());
  await fails(
    where,
    ['secret', 'set', 'wbe', '/etc/x', '--from', from],
    /no overlay wbe; did you mean web\?/,
  );
  await fails(
    where,
    ['secret', 'set', 'web', '/etc/../x', '--from', from],
    /is not the path of a file on a blade/,
  );
  await fails(where, ['secret', 'set', 'web', '/etc/x'], /there is nothing in it; give the secret on stdin/);
  await succeeds(where, 'secret', 'set', 'web', '/etc/x', '--from', from);
  await fails(where, ['secret', 'show', 'web', '/etc/y'], /no secret \/etc\/y; did you mean \/etc\/x\?/);
  await writeIdentity(join(where.state, 'other.key'), await newIdentity());
  const other = ['--identity', join(where.state, 'other.key')];
  await fails(
    where,
    ['secret', 'show', 'web', '/etc/x', ...other],
    /x\.age: .*no identity matched.*secret list/,
  );
  await fails(where, ['secret', 'show', 'web', '/etc/x', '--identity', from], /others can read the identity/);
  await fails(
    where,
    ['secret', 'show', 'web', '/etc/x', '--identity', `${from}s`],
    /there is no identity at/,
  );
  const yaml = join(where.fleet, 'fleet.yaml');
  const text = await readFile(yaml, 'utf8');
  await writeFile(yaml, text.replace(/^secrets:.*\n/m, ''));
  await fails(where, ['secret', 'set', 'web', '/etc/z', '--from', from], /no recovery recipient/);
  const away = join(where.state, 'away.key');
  await succeeds(where, 'init', '--recovery', away);
  await succeeds(where, 'secret', 'set', 'web', '/etc/z', '--from', from);
  const set = await readFile(from, 'utf8');
  assert.equal(await succeeds(where, 'secret', 'show', 'web', '/etc/z', '--identity', away), set);
  await fails(where, ['init', '--recovery', away], /the fleet has 1 recovery recipients already/);
  await writeFile(yaml, text.replace('[age1', '[age2'));
  await fails(
    where,
    ['secret', 'list'],
    /fleet\.yaml:3: secrets\.recovery\[0\]: "age2.* is not an age recipient/,
  );
});

test('publishing refuses a secret in clear, and one that its blade could not read; and names who waits', async (t) => {
  const [recovery, web01] = [await newIdentity(), await newIdentity()];
  const where = await publishedRoot(t, {
    'fleet.yaml': fleetYaml(recovery),
    'overlays/web/': '',
    'overlays/db/': '',
  });
  await writeIdentity(join(where.state, RECOVERY_IDENTITY), recovery);
  await setFromStdin(where, 'web', '/etc/key', secretWords());
  const waiting = await where.bladeroot(['release', 'publish']);
  assert.match(waiting.stderr, /warning: no secrets for web01, whose identity nobody has accepted yet/);
  const blade = async () => JSON.parse(await succeeds(where, 'release', 'show', '--json')).blades[0];
  assert.equal((await blade()).secrets, undefined);

  await writeFile(join(where.fleet, 'fleet.yaml'), fleetYaml(recovery, { web01: web01.recipient }));
  const publish = async (): Promise<string> => (await where.bladeroot(['release', 'publish'])).stderr;
  assert.match(
    await publish(),
    /web\/secrets\/etc\/key\.age is not known to be encrypted to web01; run `bladeroot secret rekey`/,
  );
  await succeeds(where, 'secret', 'rekey');
  await succeeds(where, 'release', 'publish');
  assert.deepEqual(
    [(await blade()).recipient, typeof (await blade()).secrets.digest],
    [web01.recipient, 'string'],
  );

  await writeFile(join(where.fleet, 'overlays/db/secrets.txt'), 'beside it');
  await mkdir(join(where.fleet, 'overlays/db/secrets'));
  await writeFile(join(where.fleet, 'overlays/db/secrets/password'), 'in clear');
  assert.match(
    await publish(),
    /overlays\/db\/secrets\/password is not encrypted, .*secret set db \/password --from FILE/,
  );
});

/** The root's machines have been heard of: what `serve` would have written down. */
async function rootWith(t: TestContext, overlays: Record<string, string>) {
  const recovery = await newIdentity();
  const where = await publishedRoot(t, {
    'fleet.yaml': fleetYaml(recovery),
    'overlays/db/': '',
    ...overlays,
  });
  const key = join(await folderOf(t, {}), 'recovery.key');
  await writeIdentity(key, recovery);
  const secret = secretWords();
  await setFromStdin(where, 'web', '/etc/key', secret);
  await where.bladeroot(['release', 'publish']);
  const root = await serveRoot(t, where);
  const hello = async (mac: string, identity: Identity): Promise<void> =>
    void (await sayHello(root.url, sampleMachine({ mac, recipient: identity.recipient })));
  return { where, key, secret, hello, ...root };
}

test('a blade is approved once; another identity in its place takes more than a yes', async (t) => {
  const { where, key, secret, hello, url, publicKey, events } = await rootWith(t, { 'overlays/web/': '' });
  const [first, second] = [await newIdentity(), await newIdentity()];
  const identity = ['--identity', key];
  const approve = ['blade', 'approve', 'web01'];
  await fails(
    where,
    [...approve, '--yes', ...identity],
    /no machine has shown an identity as web01; boot it/,
  );
  await hello(WEB01, first);
  const shown = fingerprint(first.recipient);
  const list = await succeeds(where, 'blade', 'list', '--pending');
  assert.match(list, new RegExp(`^BLADE .*\\nweb01 +${WEB01} +${shown} +waits for .blade approve. +now\\n$`));
  await fails(where, [...approve, ...identity], /no terminal/);
  const wrong = fingerprint(second.recipient);
  await fails(
    where,
    [...approve, '--fingerprint', wrong, ...identity],
    new RegExp(`has ${shown}; read it again`),
  );
  await fails(
    where,
    [...approve, '--yes'],
    /nothing here can read them: overlays\/web\/secrets\/etc\/key\.age/,
  );
  assert.doesNotMatch(
    await readFile(join(where.fleet, 'fleet.yaml'), 'utf8'),
    /recipient:/,
    'nothing is written',
  );

  const said = await succeeds(where, ...approve, '--fingerprint', shown.toUpperCase(), ...identity, '--json');
  const { release, rekeyed, recipient } = JSON.parse(said);
  assert.deepEqual([release, rekeyed, recipient], [3, ['overlays/web/secrets/etc/key.age'], first.recipient]);
  assert.match(
    await readFile(join(where.fleet, 'fleet.yaml'), 'utf8'),
    new RegExp(`^  web01: \\{.*profile: web, recipient: ${first.recipient} \\}$`, 'm'),
  );
  assert.equal(await succeeds(where, 'blade', 'list', '--pending'), 'no machine waits for a name\n');
  await succeeds(where, ...approve, ...identity);

  // Its disk has died, or somebody has its MAC.
  await hello(WEB01, second);
  assert.match(await succeeds(where, 'blade', 'list', '--pending'), /web01 .*not the accepted identity/);
  const other = new RegExp(
    `web01 has an accepted identity \\(${shown}\\), and .* another one \\(${wrong}\\); .*--replace`,
  );
  await fails(where, [...approve, '--yes', ...identity], other);
  await succeeds(where, ...approve, '--yes', '--replace', ...identity);
  const directory = await folderOf(t, {});
  const machine = sampleMachine({ mac: WEB01 });
  const current = await findReleaseOf(url, publicKey, machine, 4);
  assert.equal(current.blade.recipient, second.recipient);
  const { slot } = await deploy(url, { machine, identity: second, publicKey, directory });
  assert.equal(await readFile(join(slot, 'etc/key'), 'utf8'), secret);
  const types = events.since(0).map(({ type }) => type);
  assert.deepEqual(
    types.filter((type) => type.startsWith('machine.')),
    ['machine.unapproved', 'machine.other-identity'],
  );
});

test('who is adopted is accepted with it, and has its secrets from its first deployment on', async (t) => {
  const { where, key, secret, hello, url, publicKey } = await rootWith(t, { 'overlays/web/': '' });
  const mac = '52:54:00:77:00:99';
  const own = await newIdentity();
  await hello(mac, own);
  assert.match(await succeeds(where, 'blade', 'list', '--pending'), new RegExp(fingerprint(own.recipient)));
  const adopt = ['blade', 'adopt', mac, 'web02', '--profile', 'web'];
  await fails(where, adopt, /nothing here can read them: .*key\.age; name the fleet's recovery identity/);
  assert.doesNotMatch(await readFile(join(where.fleet, 'fleet.yaml'), 'utf8'), /web02/, 'nothing is written');
  const seen = ['--fingerprint', fingerprint(own.recipient)];
  const wrong = ['--fingerprint', fingerprint('another')];
  await fails(where, [...adopt, ...wrong], /the machine that says it is .*:99 has .*; read it again/);
  await succeeds(where, ...adopt, ...seen, '--identity', key);
  const machine = sampleMachine({ mac });
  await findReleaseOf(url, publicKey, machine, 3);
  const directory = await folderOf(t, {});
  const { slot } = await deploy(url, { machine, identity: own, publicKey, directory });
  assert.equal(await readFile(join(slot, 'etc/key'), 'utf8'), secret);

  // Without: it goes on all the same.
  const late = await newIdentity();
  await hello('52:54:00:77:00:98', late);
  await succeeds(where, 'blade', 'adopt', '52:54:00:77:00:98', 'web03', '--profile', 'web', '--no-secrets');
  const web03 = JSON.parse(await succeeds(where, 'release', 'show', '--json')).blades.at(-1);
  assert.deepEqual([web03.name, web03.recipient, web03.secrets], ['web03', undefined, undefined]);
});

/** The root serves what was published a moment after it was; asked again until it does. */
async function findReleaseOf(
  url: string,
  publicKey: Parameters<typeof findRelease>[1],
  machine: Machine,
  sequence: number,
): Promise<FoundRelease> {
  for (;;) {
    const found = await findRelease([url], publicKey, identityOf(machine));
    if (found.blade !== undefined && found.release.statement.sequence >= sequence) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
