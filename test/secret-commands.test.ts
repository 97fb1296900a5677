/** `bladeroot secret`, and what publishing says of secrets. */
import assert from 'node:assert/strict';
import { lstat, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { folderOf } from '../src/fleet/folder.fixture.ts';
import { decryptWith } from '../src/secrets/age.ts';
import { newIdentity, RECOVERY_IDENTITY, writeIdentity } from '../src/secrets/identity-file.ts';
import { run, runForBytes } from '../src/system/run.ts';
import { place, PROGRAM } from './bladeroot.fixture.ts';
import { publishedRoot, succeeds } from './published-root.fixture.ts';
import { fails, fleetYaml, secretWords, setFromStdin } from './secrets.fixture.ts';

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
