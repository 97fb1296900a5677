/** The fleet folders in examples/ are what they say they are: they load, have no faults, and render to the blades meant. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, copyFile, cp, readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { BLADEROOT } from '../lab/demo/bladeroot.ts';
import { loadFleet } from '../src/fleet/load.ts';
import { resolveFleet } from '../src/fleet/resolve.ts';
import { folderOf } from '../src/fleet/folder.fixture.ts';
import { DirectoryFiles } from '../src/image/files.ts';
import { applyOverlay } from '../src/overlay/apply.ts';
import { encodeOverlay } from '../src/overlay/archive.ts';
import { isSecret, type OverlayEntry } from '../src/overlay/entry.ts';
import { renderOverlay } from '../src/overlay/render.ts';
import { textOf } from '../src/overlay/render.fixture.ts';
import { run } from '../src/system/run.ts';

const EXAMPLE = join(dirname(import.meta.dirname), 'examples/web-and-mail');
const UNITS = 'usr/lib/systemd/system';
const STARTS = '[Install]\nWantedBy=multi-user.target\n';
const STARTED = (unit: string): Record<string, string> => ({
  [`${UNITS}/${unit}`]: STARTS,
  [`etc/systemd/system/multi-user.target.wants/${unit}`]: `->/lib/systemd/system/${unit}`,
});
const SERVICES = ['nginx', 'postfix', 'postgresql'];

/** What Debian's packages leave of themselves, as far as a fleet can touch it: everything starts. */
const IMAGE = {
  bin: '->usr/bin',
  lib: '->usr/lib',
  sbin: '->usr/sbin',
  'usr/bin/': '',
  'usr/sbin/init': '->../lib/systemd/systemd',
  'usr/lib/systemd/systemd': '',
  'usr/lib/systemd/systemd-networkd': '',
  [`${UNITS}/systemd-networkd.service`]: STARTS,
  ...STARTED('ssh.service'),
  ...Object.assign({}, ...SERVICES.map((name) => STARTED(`${name}.service`))),
  'etc/passwd':
    'root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/sh\npostgres:x:105:113::/var/lib/postgresql:/bin/sh\n',
  'etc/group': 'root:x:0:\npostgres:x:113:\n',
  'etc/nginx/sites-enabled/default': '->/etc/nginx/sites-available/default',
  'etc/postgresql/15/main/pg_hba.conf': 'local all all trust\n',
};

async function renderExample(t: TestContext): Promise<Map<string, Map<string, OverlayEntry>>> {
  const fleet = await loadFleet(EXAMPLE);
  const blades = resolveFleet(fleet);
  const image = new DirectoryFiles(await folderOf(t, IMAGE));
  const rendered = new Map<string, Map<string, OverlayEntry>>();
  for (const blade of blades) {
    const entries = await renderOverlay({ blade, fleet, blades, fleetDir: EXAMPLE, image });
    rendered.set(blade.name, new Map(entries.map((entry) => [entry.path, entry])));
  }
  return rendered;
}

test('web-and-mail: a balancer, two web blades, two mail blades and a database, each with its own services', async (t) => {
  const started: Record<string, string[]> = {};
  for (const [name, entries] of await renderExample(t)) {
    const root = await folderOf(t, {});
    await cp(await folderOf(t, IMAGE), root, { recursive: true, verbatimSymlinks: true });
    await applyOverlay(encodeOverlay([...entries.values()].filter((entry) => !isSecret(entry))), root);
    const { stdout } = spawnSync('systemctl', [`--root=${root}`, 'is-enabled', 'ssh', ...SERVICES], {
      encoding: 'utf8',
    });
    const states = stdout.trim().split('\n');
    started[name] = ['ssh', ...SERVICES].filter((_, index) => states[index] === 'enabled');
  }
  assert.deepEqual(started, {
    balancer01: ['ssh', 'nginx'],
    web01: ['ssh', 'nginx'],
    web02: ['ssh', 'nginx'],
    mail01: ['ssh', 'postfix'],
    mail02: ['ssh', 'postfix'],
    database01: ['ssh', 'postgresql'],
  });
});

test('web-and-mail: the blades know of each other what they have to', async (t) => {
  const rendered = await renderExample(t);
  const text = (blade: string, path: string): string => textOf(rendered.get(blade)?.get(path));
  const balancer = text('balancer01', 'etc/nginx/sites-enabled/default');
  assert.deepEqual(balancer.match(/server 10\.20\.0\.\d+:8080;/g), [
    'server 10.20.0.21:8080;',
    'server 10.20.0.22:8080;',
  ]);
  assert.match(text('web02', 'etc/nginx/sites-enabled/default'), /listen 8080 default_server;/);
  assert.match(text('web02', 'var/www/shop/index.html'), /<h1>web02 serves<\/h1>/);
  assert.match(text('mail01', 'etc/postfix/main.cf'), /^myhostname = mail01\.example\.net$/m);
  assert.match(text('mail01', 'etc/postfix/main.cf'), /: 10 is what/);
  assert.match(text('mail02', 'etc/postfix/main.cf'), /: 20 is what/);
  const hba = rendered.get('database01')?.get('etc/postgresql/15/main/pg_hba.conf');
  assert.deepEqual(textOf(hba).match(/10\.20\.0\.\d+/g), ['10.20.0.21', '10.20.0.22']);
  assert.deepEqual([hba?.uid, hba?.gid, hba?.mode], [105, 113, 0o640]);
  assert.equal(rendered.get('mail01')?.has('etc/postgresql/15/main/pg_hba.conf'), false);
  for (const [name, entries] of rendered) {
    assert.match(textOf(entries.get('etc/motd')), new RegExp(`^${name}\\.example\\.net \\(10\\.20`, 'm'));
    // Made on the blade, and kept there: no release has them.
    assert.deepEqual(
      [...entries.keys()].filter((path) => /ssh_host|ssl\/private/.test(path)),
      [],
    );
  }
});

test('web-and-mail: the secret is for the web blades, can be read by the recovery identity, and lies nowhere in clear', async (t) => {
  const aside = await folderOf(t, {});
  const identity = join(aside, 'recovery.key');
  await copyFile(`${EXAMPLE}.recovery.key`, identity);
  // git keeps no mode but that of programs.
  await chmod(identity, 0o600);
  const place = ['--fleet', EXAMPLE, '--state', aside];
  const path = '/etc/shop/database-password';
  const shown = await run(BLADEROOT, ['secret', 'show', 'web', path, '--identity', identity, ...place]);
  const secret = shown.stdout.trim();
  assert.ok(secret.length > 10, secret);

  const entries = await readdir(EXAMPLE, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
  for (const file of files) assert.ok(!(await readFile(file)).includes(secret), file);
  const rendered = await renderExample(t);
  for (const [name, blade] of rendered) {
    const entry = blade.get(path.slice(1));
    assert.equal(entry !== undefined, name.startsWith('web'), name);
    if (entry === undefined) continue;
    assert.ok(isSecret(entry) && textOf(entry).startsWith('-----BEGIN AGE ENCRYPTED FILE-----'), name);
    assert.deepEqual([entry.uid, entry.mode], [33, 0o400]);
  }
});
