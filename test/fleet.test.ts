/** What the command line says of a fleet folder. */
import assert from 'node:assert/strict';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { sampleMachine } from '../src/fleet/machine.fixture.ts';
import { createKeys } from '../src/release/keys.ts';
import { openDatabase } from '../src/state/database.ts';
import { MachineRepository } from '../src/state/machines.ts';
import { Store } from '../src/store/store.ts';
import { run } from '../src/system/run.ts';
import { place } from './bladeroot.fixture.ts';
import { FLEET, publishableTree } from './publish.fixture.ts';

const SPLIT = {
  'fleet.yaml': `name: lab
network: { subnet: 10.77.0.0/24, dns: [10.77.0.1] }
defaults:
  overlays: [base]
  services: { start: [ssh, postfix] }
  vars: { motto: "a # b" }
`,
  'profiles/web.yaml': 'overlays: [web]\nservices:\n  start: [+nginx, -postfix]\n',
  'blades/web01.yaml': 'mac: "52:54:00:77:00:11"\naddress: 10.77.0.11\nprofile: web\n',
  'overlays/base/': '',
  'overlays/web/': '',
};

test('blade show --origin: a column with the file and line of each value', async (t) => {
  const { bladeroot } = await place(t, SPLIT);
  const { stdout } = await bladeroot(['blade', 'show', 'web01', '--origin']);
  const expected = [
    'mac: 52:54:00:77:00:11  # blades/web01.yaml:1',
    '  - 10.77.0.1           # fleet.yaml:2',
    '  - base                # fleet.yaml:4',
    '  - web                 # profiles/web.yaml:1',
    '    - ssh               # fleet.yaml:5',
    '    - nginx             # profiles/web.yaml:3',
    '  motto: "a # b"        # fleet.yaml:6',
  ];
  const lines = stdout.split('\n');
  assert.deepEqual(
    expected.filter((line) => !lines.includes(line)),
    [],
    stdout,
  );
  const json = await bladeroot(['blade', 'show', 'web01', '--origin', '--json']);
  const { services, origins } = JSON.parse(json.stdout);
  assert.deepEqual(services, { start: ['ssh', 'nginx'], stop: [] });
  assert.deepEqual(
    origins.find(({ path }: { path: string[] }) => path.join('.') === 'services.start.1'),
    { path: ['services', 'start', 1], file: 'profiles/web.yaml', line: 3 },
  );
});

test('fleet check: nothing wrong, warnings, errors, and what its exit status says of them', async (t) => {
  const { bladeroot } = await place(t, SPLIT);
  const fine = await bladeroot(['fleet', 'check', '--no-image']);
  assert.deepEqual([fine.status, fine.stdout], [0, '1 blade, 0 errors, 0 warnings\n'], fine.stderr);

  const warned = await place(t, { ...SPLIT, 'profiles/old.yaml': '', 'overlays/old/': '' });
  const { status, stdout, stderr } = await warned.bladeroot(['fleet', 'check']);
  assert.equal(status, 0);
  assert.deepEqual(stdout.split('\n'), [
    'overlays/old: neither the defaults nor a profile nor a blade names this folder (warning)',
    'profiles/old.yaml:1: profiles.old: no blade has this profile (warning)',
    '1 blade, 0 errors, 2 warnings',
    '',
  ]);
  assert.match(stderr, /^not checked against an image: there is no store in /);

  const web02 = { 'blades/web02.yaml': SPLIT['blades/web01.yaml'] };
  const wrong = await place(t, { ...SPLIT, ...web02 });
  const ended = await wrong.bladeroot(['fleet', 'check', '--json']);
  assert.equal(ended.status, 1);
  const { findings } = JSON.parse(ended.stdout);
  assert.deepEqual(
    findings.map(({ severity, file, line }: Record<string, unknown>) => [severity, file, line]),
    [
      ['error', 'blades/web02.yaml', 1],
      ['error', 'blades/web02.yaml', 2],
    ],
  );
});

test('fleet check with a snapshot: services that it does not have, or that start although they are stopped; publish and adopt take a split folder', async (t) => {
  const fleet = {
    'fleet.yaml': FLEET.slice(0, FLEET.indexOf('profiles:')),
    'profiles/web.yaml': 'overlays: [web]\nservices: { start: [nginx], stop: [postfix] }\n',
    'blades/rack1/web01.yaml': 'mac: "52:54:00:77:00:11"\naddress: 10.77.0.11\nprofile: web\n',
    'overlays/web/etc/motd.liquid': '{{ blade.name }}\n',
  };
  const where = await place(t, fleet);
  await createKeys(where.state);
  const units = 'usr/lib/systemd/system';
  const tree = await publishableTree(t, {
    [`${units}/default.target`]: '[Unit]\nWants=lists.service\n',
    [`${units}/lists.service`]: '[Unit]\nRequires=postfix.service\n',
  });
  const packed = await where.bladeroot(['snapshot', 'pack', `${tree}/`, '--tag', 'sample']);
  assert.equal(packed.status, 0, packed.stderr);
  const good = await where.bladeroot(['fleet', 'check', '--json']);
  assert.equal(good.status, 0, good.stdout);
  const { findings, snapshot } = JSON.parse(good.stdout);
  const [warning] = findings;
  assert.deepEqual(
    [findings.length, warning?.severity, warning?.file, warning?.line],
    [1, 'warning', 'profiles/web.yaml', 2],
  );
  assert.match(warning?.message ?? '', /postfix starts all the same: lists\.service starts it/);
  assert.match(snapshot, /^[0-9a-f]{64}$/);

  const published = await where.bladeroot(['release', 'publish']);
  assert.equal(published.status, 0, published.stderr);
  assert.match(published.stderr, /warning: profiles\/web\.yaml:2: .*postfix starts all the same: lists/);
  const release = JSON.parse((await where.bladeroot(['release', 'show', '--json'])).stdout);
  assert.deepEqual(
    release.blades.map(({ name, address }: Record<string, unknown>) => [name, address]),
    [['web01', '10.77.0.11']],
  );
  const store = await Store.openExisting(join(where.state, 'store'));
  const listed = await run('tar', ['-t', '-f', store.blobPath(release.config.digest)]);
  for (const path of Object.keys(fleet)) assert.ok(listed.stdout.split('\n').includes(`./${path}`), path);

  const database = openDatabase(where.state);
  new MachineRepository(database).seen(sampleMachine({ mac: '52:54:00:77:00:12' }), Date.now());
  database.close();
  const adopted = await where.bladeroot(['blade', 'adopt', '52:54:00:77:00:12', 'web02', '--profile', 'web']);
  assert.match(adopted.stdout, /^release 2 has it/, adopted.stderr);
  const part = await readFile(join(where.fleet, 'blades/web02.yaml'), 'utf8');
  assert.equal(part, 'mac: "52:54:00:77:00:12"\naddress: 10.77.0.12\nprofile: web\n');

  await writeFile(join(where.fleet, 'profiles/web.yaml'), 'services:\n  start: [ngnix]\n');
  const bad = await where.bladeroot(['fleet', 'check', '--snapshot', 'sample']);
  assert.equal(bad.status, 1);
  assert.match(bad.stdout, /^profiles\/web\.yaml:2: .*the image has no service ngnix; .*nginx/m);
});

test('fleet schema: what an editor reads; init writes it beside the example, which points to it', async (t) => {
  const { bladeroot, fleet } = await place(t);
  const made = await bladeroot(['init']);
  assert.equal(made.status, 0, made.stderr);
  const first = (await readFile(join(fleet, 'fleet.yaml'), 'utf8')).split('\n')[0] ?? '';
  const [, path = ''] = /^# yaml-language-server: \$schema=(.*)$/.exec(first) ?? [];
  const written: unknown = JSON.parse(await readFile(join(fleet, path), 'utf8'));
  assert.deepEqual(written, JSON.parse((await bladeroot(['fleet', 'schema', '--json'])).stdout));
  const blade = JSON.parse((await bladeroot(['fleet', 'schema', 'blade'])).stdout);
  assert.ok(Object.hasOwn(blade.properties, 'address'));
  await rm(join(fleet, 'schema'), { recursive: true });
  assert.equal((await bladeroot(['fleet', 'schema', '--write'])).status, 0);
  assert.deepEqual((await readdir(join(fleet, 'schema'))).sort(), [
    'blade.json',
    'fleet.json',
    'profile.json',
  ]);
  assert.equal((await bladeroot(['fleet', 'schema', 'rack'])).status, 2);
});
