/** `bladeroot blade set` and its like, as a person calls them. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { place, type Place } from './bladeroot.fixture.ts';

const FLEET = `# the lab
name: lab
network: { subnet: 10.77.0.0/24 }
profiles:
  web: { vars: { port: 80 } } # the shop
blades:
  # rack 1
  web01: { mac: "52:54:00:77:00:11",  address: 10.77.0.11, profile: web } # by the door
  web02: { mac: "52:54:00:77:00:12", address: 10.77.0.12, profile: web }
`;

interface Lab extends Place {
  text(): Promise<string>;
  /** Runs a command that succeeds. @returns what it said on stdout */
  ok(...args: string[]): Promise<string>;
  /** Runs a command that fails, and changes nothing. @returns what it said on stderr */
  refused(status: number, ...args: string[]): Promise<string>;
}

async function lab(t: TestContext, fleet = FLEET): Promise<Lab> {
  const where = await place(t, { 'fleet.yaml': fleet });
  const text = async (): Promise<string> => await readFile(join(where.fleet, 'fleet.yaml'), 'utf8');
  return {
    ...where,
    text,
    async ok(...args) {
      const { status, stdout, stderr } = await where.bladeroot(args);
      assert.equal(status, 0, stderr);
      return stdout;
    },
    async refused(status, ...args) {
      const before = await text();
      const ended = await where.bladeroot(args);
      assert.deepEqual([ended.status, ended.stdout], [status, ''], ended.stderr);
      assert.equal(await text(), before);
      return ended.stderr;
    },
  };
}

test('set shows what it changes by field; without a terminal it does it with -y only', async (t) => {
  const { bladeroot, refused, ok, text } = await lab(t);
  const args = ['blade', 'set', 'web[01-02]', '--boot-timeout', '5', '--vars', 'rack=3'];
  const asked = await refused(1, ...args);
  assert.match(asked, /^ {2}blade web\[01-02\] {2}boot\.timeout +- +5$/m);
  assert.match(asked, /no terminal .*; say -y to do it without a question$/m);
  const { stdout, stderr } = await bladeroot([...args, '-y']);
  assert.equal(stdout, '2 blades changed in fleet.yaml\n');
  assert.match(stderr, /^ {2}blade web\[01-02\] {2}vars\.rack +- +3$/m);
  const rest = ', vars: { rack: 3 }, boot: { timeout: 5 } }';
  assert.equal(await text(), FLEET.replaceAll('profile: web }', `profile: web${rest}`));
  assert.match(await ok(...args), /nothing changes/);
  const changes = JSON.parse(await ok('blade', 'unset', 'web01', 'boot.timeout', '-y', '--json'));
  assert.deepEqual(changes, {
    changes: [
      { noun: 'blade', name: 'web01', kind: 'changed', fields: [{ field: 'boot.timeout', before: 5 }] },
    ],
    files: ['fleet.yaml'],
  });
  await ok('blade', 'unset', '@all', 'boot.timeout', 'vars', '-y');
  assert.equal(await text(), FLEET);
});

test('what cannot be is told with what would be right, and changes nothing', async (t) => {
  const { refused } = await lab(t);
  const cases: [number, string[], RegExp][] = [
    [
      1,
      ['blade', 'set', 'web01', '--boot-timeout', 'soon', '-y'],
      /"soon" is not a number of seconds; write/,
    ],
    [1, ['blade', 'set', 'web01', '--address', '10.77.0.12', '-y'], /10\.77\.0\.12 stands twice/],
    [1, ['blade', 'set', 'wbe01', '--boot-timeout', '5', '-y'], /no blade wbe01; did you mean web01\?/],
    [1, ['profile', 'set', 'wbe', '--vars', 'a=1', '-y'], /no profile wbe; did you mean web\?/],
    [1, ['profile', 'rm', 'web', '-y'], /there is no profile web/],
    [
      1,
      ['blade', 'unset', 'web01', 'boot.timout', '-y'],
      /no field boot\.timout; did you mean boot\.timeout\?/,
    ],
    [1, ['blade', 'unset', 'web01', 'mac', '-y'], /does not say which machine it is/],
    [1, ['blade', 'add', 'web01', '--mac', '52:54:00:77:00:13'], /there is a blade web01 already/],
    [1, ['blade', 'add', 'web_3', '--mac', '52:54:00:77:00:13'], /"web_3" is not the name of a blade/],
    [2, ['blade', 'set', 'web01', '--boot-timout', '5'], /Did you mean --boot-timeout\?/],
    [2, ['blade', 'set', 'web01', '--vars', 'rack'], /NAME=VALUE/],
    [2, ['blade', 'set', 'web01', '-y'], /say what to set/],
    [1, ['blade', 'import', '/nowhere.csv'], /there is no file \/nowhere\.csv/],
  ];
  for (const [status, args, message] of cases)
    assert.match(await refused(status, ...args), message, args.join(' '));
});

test('blades and profiles come and go', async (t) => {
  const { ok, text } = await lab(t);
  await ok('profile', 'add', 'db', '--extends', 'web', '--vars', 'port=5432');
  await ok('blade', 'add', 'db01', '--mac', '52:54:00:77:00:13', '--profile', 'db', '--kernel-args', 'a=b,c');
  const added = FLEET.replace('the shop\n', 'the shop\n  db: { extends: db, vars: { port: 5432 } }\n')
    .replace('extends: db', 'extends: web')
    .concat(
      '  db01: { mac: "52:54:00:77:00:13", address: 10.77.0.13, profile: db, kernelArgs: ["a=b,c"] }\n',
    );
  assert.equal(await text(), added);
  assert.match(await ok('profile', 'list'), /^web +3 +web\[01-02\],db01$\n^db +web +1 +db01$/m);
  assert.equal(await ok('profile', 'show', 'db'), 'extends: web\nvars:\n  port: 5432\n');
  await ok('blade', 'rm', 'db01', '-y');
  await ok('profile', 'rm', 'db', '-y');
  assert.equal(await text(), FLEET);
});

test('what is exported is imported again, with what was changed in between', async (t) => {
  const { ok, refused, text, fleet } = await lab(t);
  const csv = join(fleet, 'blades.csv');
  const exported = await ok('blade', 'export');
  assert.equal(
    exported,
    'name,mac,address,profile\nweb01,52:54:00:77:00:11,10.77.0.11,web\nweb02,52:54:00:77:00:12,10.77.0.12,web\n',
  );
  await writeFile(csv, exported);
  assert.match(await ok('blade', 'import', csv), /nothing changes/);
  await writeFile(csv, `${exported.replace('.12,web', '.22,')}web03,52:54:00:77:00:13,10.77.0.13,web\n`);
  const shown = await refused(1, 'blade', 'import', csv);
  assert.match(shown, /^ {2}blade web02 +address +10\.77\.0\.12 +10\.77\.0\.22$/m);
  assert.match(shown, /^\+ blade web03 +mac +- +"52:54:00:77:00:13"$/m);
  assert.match(await ok('blade', 'import', csv, '-y'), /^1 blade changed, 1 blade added in fleet\.yaml$/m);
  assert.equal(
    await text(),
    `${FLEET.replace('10.77.0.12, profile: web', '10.77.0.22')}  web03: { mac: "52:54:00:77:00:13", address: 10.77.0.13, profile: web }\n`,
  );
  const json = join(fleet, 'blades.json');
  await writeFile(json, await ok('blade', 'export', '--json'));
  await ok('blade', 'rm', 'web03', '-y');
  await ok('blade', 'set', 'web01', '--vars', 'x=1', '-y');
  assert.match(await ok('blade', 'import', json, '-y'), /1 blade changed, 1 blade added/);
  assert.match(await ok('blade', 'import', json), /nothing changes/);
});

test('of commands that change one fleet at once none loses what another has done', async (t) => {
  const { ok } = await lab(t);
  for (let round = 0; round < 5; round++) {
    await Promise.all([
      ok('blade', 'set', 'web01', '--vars', `a${round}=1`, '-y'),
      ok('blade', 'set', 'web01', '--vars', `b${round}=1`, '-y'),
    ]);
  }
  const [header = ''] = (await ok('blade', 'export')).split('\n');
  const names = [0, 1, 2, 3, 4].flatMap((round) => [`vars.a${round}`, `vars.b${round}`]);
  assert.deepEqual(header.split(',').slice(4), names.toSorted());
});
