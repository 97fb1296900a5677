/** Whose secrets are whose: a blade's identity is accepted by a person, by `blade approve` or with `blade adopt`. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { sayHello } from '../src/agent/await-adoption.ts';
import { findRelease, type FoundRelease } from '../src/agent/find-release.ts';
import { folderOf } from '../src/fleet/folder.fixture.ts';
import { sampleMachine } from '../src/fleet/machine.fixture.ts';
import { identityOf, type Machine } from '../src/fleet/machine.ts';
import { fingerprint } from '../src/secrets/fingerprint.ts';
import { newIdentity, writeIdentity, type Identity } from '../src/secrets/identity-file.ts';
import { publishedRoot, serveRoot, succeeds } from './published-root.fixture.ts';
import { deploy, fails, fleetYaml, secretWords, setFromStdin, WEB01 } from './secrets.fixture.ts';

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
