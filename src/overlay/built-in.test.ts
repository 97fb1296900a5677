import assert from 'node:assert/strict';
import { chmod, lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { folderOf } from '../fleet/folder.fixture.ts';
import { DirectoryFiles } from '../image/files.ts';
import { run } from '../system/run.ts';
import { applyOverlay } from './apply.ts';
import { encodeOverlay } from './archive.ts';
import { rootPassword } from './root-login.ts';
import { FLEET, IMAGE, render, renderAll, textOf } from './render.fixture.ts';
import { resolveBlade } from '../fleet/resolve.ts';
import { parseFleet } from '../fleet/load.ts';

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9cFr2S admin@example';
const OTHER = 'from="10.0.0.0/8" ssh-rsa AAAAB3NzaC1yc2E= backup';
const HASH = '$6$salt$IxDD3jeSOb5eB1CX5LBsqZFVkJdido3OUILO5Ifz5iwMuTS4XMS130MTSuDDl3aCI6WouIL9AjRbLCelDCy.g.';
const SHADOW = 'root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n';

/** The fleet with more in its defaults, and something in mail01. */
function fleetWith(defaults: string, mail01 = ''): string {
  return FLEET.replace('vars: { motto: hello } }', `vars: { motto: hello }, ${defaults} }`).replace(
    'profile: mail }',
    `profile: mail${mail01} }`,
  );
}

test('keys of all layers may log in as root, and only root may look', async (t) => {
  const fleet = fleetWith(`ssh: { authorizedKeys: ['${KEY}'] }`, `, ssh: { authorizedKeys: ['${OTHER}'] }`);
  const entries = await renderAll(t, { fleet, blade: 'mail01', image: { ...IMAGE, 'root/': '' } });
  const directory = await folderOf(t, { ...IMAGE, 'root/': '' });
  await applyOverlay(encodeOverlay(entries), directory);
  const file = entries.find(({ path }) => path === 'root/.ssh/authorized_keys');
  assert.equal(textOf(file), `${KEY}\n${OTHER}\n`);
  for (const [path, mode] of [
    ['root/.ssh', 0o700],
    ['root/.ssh/authorized_keys', 0o600],
  ] as const) {
    assert.equal((await lstat(join(directory, path))).mode & 0o777, mode, path);
  }
  assert.equal((await render(t, {})).has('root/.ssh'), false, 'nothing where the fleet says nothing');
});

test("root's password is the hash that the fleet says; the rest of shadow and its mode stay", async (t) => {
  const directory = await folderOf(t, { 'etc/shadow': SHADOW });
  await chmod(join(directory, 'etc/shadow'), 0o640);
  const blade = resolveBlade(parseFleet(fleetWith(`rootPassword: '${HASH}'`), ['base', 'web']), 'web01');
  const [entry] = await rootPassword(blade, new DirectoryFiles(directory));
  assert.equal(
    textOf(entry),
    SHADOW.replace('root:*', () => `root:${HASH}`),
  );
  assert.equal(entry?.mode, 0o640);
});

test('a hash as openssl makes it is accepted', async (t) => {
  const { stdout } = await run('openssl', ['passwd', '-6', 'secret']);
  const image = { ...IMAGE, 'etc/shadow': SHADOW };
  const entries = await render(t, { image, fleet: fleetWith(`rootPassword: '${stdout.trim()}'`) });
  assert.ok(textOf(entries.get('etc/shadow')).startsWith(`root:${stdout.trim()}:19000:`));
});

test('the time zone is a link for libc and a name for people, of those that the image has', async (t) => {
  const image = {
    ...IMAGE,
    'usr/share/zoneinfo/Europe/Berlin': 'TZif',
    'etc/localtime': '->/usr/share/zoneinfo/Etc/UTC',
  };
  const entries = await render(t, { image, fleet: fleetWith('timezone: Europe/Berlin') });
  const link = entries.get('etc/localtime');
  assert.equal(link?.type === 'symlink' && link.target, '/usr/share/zoneinfo/Europe/Berlin');
  assert.equal(textOf(entries.get('etc/timezone')), 'Europe/Berlin\n');
  await assert.rejects(render(t, { image, fleet: fleetWith('timezone: Europe/Berln') }), {
    code: 'UNKNOWN_TIME_ZONE',
    message: 'blade web01: the image has no time zone Europe/Berln; did you mean Europe/Berlin?',
  });
  await assert.rejects(render(t, { image, fleet: fleetWith('timezone: Europe') }), {
    code: 'UNKNOWN_TIME_ZONE',
  });
});

test('what cannot be a key, a hash or a time zone is an error with its line', async (t) => {
  const cases: [string, RegExp][] = [
    [
      `ssh: { authorizedKeys: ['admin@example'] }`,
      /^fleet\.yaml:3: defaults\.ssh\.authorizedKeys\[0\]: "admin@example" is not a public key of SSH/,
    ],
    [
      `rootPassword: secret`,
      /^fleet\.yaml:3: defaults\.rootPassword: "secret" is not the hash of a password/,
    ],
    [`rootPassword: '$6$a:b'`, /is not the hash of a password/],
    [`timezone: ../../etc/shadow`, /^fleet\.yaml:3: defaults\.timezone: .* is not a time zone/],
  ];
  for (const [text, message] of cases)
    await assert.rejects(render(t, { fleet: fleetWith(text) }), { message });
  await assert.rejects(render(t, { fleet: fleetWith(`rootPassword: '${HASH}'`) }), {
    code: 'NO_SHADOW',
    message: 'blade web01: the image has no line of root in /etc/shadow',
  });
});

test('apt upgrades no blade by itself where the image has apt, unless an overlay says otherwise', async (t) => {
  const image = { ...IMAGE, 'etc/apt/apt.conf.d/': '' };
  const path = 'etc/apt/apt.conf.d/99bladeroot';
  assert.match(textOf((await render(t, { image })).get(path)), /^APT::Periodic::Enable "0";$/m);
  assert.equal((await render(t, {})).has(path), false);
  const overlays = { [`base/${path}.delete`]: '' };
  assert.equal((await render(t, { image, overlays })).has(path), false);
});
