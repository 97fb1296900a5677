/** Bad input ends with status 1 and one line that names the thing and says what to do; wrong usage ends with 2. */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { z } from 'zod';
import { IMAGE } from '../src/overlay/render.fixture.ts';
import { createKeys, readPrivateKey, readPublicKey } from '../src/release/keys.ts';
import { sampleKey, sampleRelease } from '../src/release/release.fixture.ts';
import { ReleaseRepository } from '../src/release/repository.ts';
import { Store } from '../src/store/store.ts';
import { run, startPiped } from '../src/system/run.ts';
import { lockTree } from '../src/tree/lock.ts';
import { place, PROGRAM, type Ended, type Place } from './bladeroot.fixture.ts';

const FLEET = {
  'fleet.yaml': `name: lab
network: { subnet: 10.77.0.0/24 }
blades:
  web01: { mac: "52:54:00:77:00:11", address: 10.77.0.11 }
`,
};

const needsRoot = process.geteuid?.() === 0 ? false : 'network namespaces need root rights';

/** It failed, and said so in one line like this; progress may stand before that line. */
function assertFailed(ended: Ended, line: RegExp): void {
  assert.equal(ended.status, 1, ended.stderr);
  assert.equal(ended.stdout, '');
  const said = ended.stderr.trimEnd().split('\n');
  assert.match(said.at(-1) ?? '', /^bladeroot: /);
  assert.match(said.at(-1) ?? '', line);
  assert.equal(said.filter((other) => other.startsWith('bladeroot:')).length, 1, ended.stderr);
  assertNoTrace(ended);
}

/** The same, and nothing but that line. */
function assertOneLine(ended: Ended, line: RegExp): void {
  assertFailed(ended, line);
  assert.equal(ended.stderr.trimEnd().split('\n').length, 1, ended.stderr);
}

function assertNoTrace({ stderr }: Ended): void {
  assert.doesNotMatch(stderr, /^\s+at |node:internal|\[object|undefined/m);
}

/** A state directory with a key and a signed release for web01 with that address. */
async function published(where: Place, address = '10.77.0.11'): Promise<void> {
  await createKeys(where.state);
  const key = await readPrivateKey(where.state);
  const { statement } = sampleRelease(key);
  const blades = statement.blades.slice(0, 1).map((blade) => ({ ...blade, address }));
  const releases = new ReleaseRepository(where.state, await readPublicKey(where.state));
  await releases.put(sampleRelease(key, { blades }));
}

test('wrong YAML: every fault on a line with file, line, what is wrong and what would be right', async (t) => {
  const { bladeroot } = await place(t, {
    'fleet.yaml': `name: lab
network: { subnet: 10.77.0.0 }
blades:
  web01: { mac: "52:54:00:77:00:11", adress: 10.77.0.11 }
`,
  });
  const ended = await bladeroot(['blade', 'list']);
  assert.equal(ended.status, 1);
  assert.equal(ended.stdout, '');
  const lines = ended.stderr.trimEnd().split('\n');
  assert.equal(lines.length, 3, ended.stderr);
  assert.match(
    lines[0] ?? '',
    /^bladeroot: fleet\.yaml:2: network\.subnet: "10\.77\.0\.0" is not .*; write .*10\.77\.0\.0\/24/,
  );
  assert.match(ended.stderr, /^fleet\.yaml:4: blades\.web01\.adress: is not a known key.*address/m);
  assert.match(ended.stderr, /^fleet\.yaml:4: blades\.web01\.address: is missing; write /m);
  assertNoTrace(ended);
});

test('YAML that is no YAML, and no fleet folder', async (t) => {
  const broken = await place(t, { 'fleet.yaml': 'name: lab\nblades: [\n' });
  assertOneLine(await broken.bladeroot(['blade', 'list']), /fleet\.yaml:[23]: /);
  const none = await place(t);
  assertOneLine(await none.bladeroot(['blade', 'list']), /no fleet\.yaml in \/.*; .*--fleet.*bladeroot init/);
});

test('an unknown blade is named, with the one that may be meant', async (t) => {
  const { bladeroot } = await place(t, FLEET);
  assertOneLine(await bladeroot(['blade', 'show', 'wbe01']), /no blade wbe01.*web01.*bladeroot blade list/);
});

test('no key: what needs one says what makes it', async (t) => {
  const { bladeroot, fleet } = await place(t, FLEET);
  for (const args of [
    ['snapshot', 'pack', `${fleet}/`],
    ['snapshot', 'list'],
    ['release', 'publish'],
    ['release', 'list'],
    ['serve'],
  ]) {
    assertOneLine(await bladeroot(args), /no fleet key at \/.*\/keys\/release\.\w+; run `bladeroot init`/);
  }
});

test('an unknown tree, snapshot and release, and nothing to publish', async (t) => {
  const { bladeroot, state } = await place(t, FLEET);
  await createKeys(state);
  await Store.open(join(state, 'store'));
  for (const args of [
    ['snapshot', 'pack', 'nosuch'],
    ['tree', 'exec', 'nosuch', '--', 'true'],
  ]) {
    assertOneLine(await bladeroot(args), /no tree nosuch in .*; make one with `bladeroot tree create`/);
  }
  assertOneLine(await bladeroot(['snapshot', 'pack', './nosuch']), /nosuch/);
  for (const args of [
    ['snapshot', 'show', 'nosuch'],
    ['snapshot', 'unpack', 'nosuch', `${state}/out`],
    ['release', 'publish', '--snapshot', 'nosuch'],
  ]) {
    assertOneLine(await bladeroot(args), /no snapshot nosuch; `bladeroot snapshot list`/);
  }
  assertOneLine(await bladeroot(['release', 'publish']), /no snapshot to publish; .*snapshot pack/);
  assertOneLine(await bladeroot(['release', 'show']), /no release yet; /);
  assertOneLine(await bladeroot(['release', 'show', '9']), /no release 9; `bladeroot release list`/);
  assertOneLine(await bladeroot(['serve']), /no release in .*; make one with `bladeroot release publish`/);
});

test('wrong names and sources of trees', async (t) => {
  const { bladeroot, state } = await place(t);
  const create = async (...args: string[]): Promise<Ended> => await bladeroot(['tree', 'create', ...args]);
  assertFailed(await create('../x', '--from', state), /"\.\.\/x" is no name for a tree; use lower-case/);
  assertFailed(
    await create('x', '--from', '/nosuch'),
    /\/nosuch is neither a directory nor an archive; give/,
  );
  await mkdir(join(state, 'trees/there'), { recursive: true });
  assertFailed(await create('there', '--from', state), /there is a tree there already/);
});

test('a tree in use is neither entered nor packed', async (t) => {
  const { bladeroot, state } = await place(t);
  await createKeys(state);
  const tree = join(state, 'trees/debian');
  await mkdir(tree, { recursive: true });
  const unlock = await lockTree(tree);
  try {
    const busy = /the tree \/.*\/debian is in use by another bladeroot command; let that finish/;
    assertOneLine(await bladeroot(['snapshot', 'pack', 'debian']), busy);
    assertOneLine(await bladeroot(['tree', 'exec', 'debian', '--', 'true']), busy);
  } finally {
    await unlock();
  }
});

test('an unsigned or altered release is neither shown nor listed nor served', async (t) => {
  const where = await place(t);
  await published(where);
  const path = join(where.state, 'releases/1.json');
  const good = await readFile(path, 'utf8');
  const envelope: { payload: string } = JSON.parse(good);
  const payload = Buffer.from(envelope.payload, 'base64').toString();
  const altered = Buffer.from(payload.replace('quiet', 'init=/bin/sh')).toString('base64');
  for (const [content, why] of [
    [
      payload,
      /release 1 \(\/.*1\.json\) is not signed .*; it is not used; make it again with the fleet's key/,
    ],
    [
      JSON.stringify({ ...envelope, payload: altered }),
      /release 1 .* was altered, or is not signed by this fleet/,
    ],
    [sampleRelease(sampleKey()).envelope, /release 1 .* was altered, or is not signed by this fleet's key/],
  ] as const) {
    await writeFile(path, content);
    for (const args of [['release', 'show'], ['release', 'list'], ['serve']]) {
      assertOneLine(await where.bladeroot(args), why);
    }
  }
  await writeFile(join(where.state, 'releases/2.json'), good);
  assertOneLine(
    await where.bladeroot(['release', 'show', '2']),
    /holds release 1 under another's name; remove it/,
  );
});

test('an interface that does not exist, or is in another subnet', async (t) => {
  const where = await place(t);
  await published(where, '203.0.113.7');
  const serve = async (...args: string[]): Promise<Ended> => await where.bladeroot(['serve', ...args]);
  assertOneLine(await serve('--interface', 'nosuch0'), /no network interface nosuch0 .*; there are: .*lo/);
  assertOneLine(
    await serve('--interface', 'lo'),
    /lo has no address in the fleet's subnet \(203\.0\.113\.0\/24\); give/,
  );
  assertOneLine(await serve(), /no interface has an address in the fleet's subnet/);
});

test('a snapshot without the program, and a tree without a kernel', async (t) => {
  const where = await place(t, FLEET);
  await createKeys(where.state);
  const image = await place(t, { ...IMAGE, 'etc/os-release': 'ID=debian\n' });
  const packed = await where.bladeroot(['snapshot', 'pack', `${image.fleet}/`, '--json']);
  assert.equal(packed.status, 0, packed.stderr);
  assertFailed(
    await where.bladeroot(['release', 'publish']),
    /no kernel: there is nothing in \/lib\/modules; install linux-image-amd64 in the tree/,
  );
  await mkdir(join(image.fleet, 'usr/lib/modules/6.1.0-9'), { recursive: true });
  await mkdir(join(image.fleet, 'boot'));
  await writeFile(join(image.fleet, 'boot/vmlinuz-6.1.0-9'), 'kernel');
  assert.equal((await where.bladeroot(['snapshot', 'pack', `${image.fleet}/`])).status, 0);
  assertFailed(
    await where.bladeroot(['release', 'publish']),
    /has no \/opt\/bladeroot\/bin\/node; pack it as a tree \(`bladeroot snapshot pack NAME`\)/,
  );
});

test('a subnet that is full, a key of another fleet, and a folder that is none', async (t) => {
  const { bladeroot, state } = await place(t, {
    'fleet.yaml': FLEET['fleet.yaml'].replaceAll('10.77.0.0/24', '10.77.0.8/30').replace('77.0.11', '77.0.9'),
  });
  await bladeroot(['blade', 'add', 'web02', '--mac', '52:54:00:77:00:12']);
  const full = await bladeroot(['blade', 'add', 'web03', '--mac', '52:54:00:77:00:13']);
  assertFailed(full, /all addresses of 10\.77\.0\.8\/30 are taken; give one with --address/);

  await createKeys(state);
  const other = await place(t, { note: 'no fleet' });
  await createKeys(other.state);
  const key = join(other.state, 'keys/release.key');
  assertFailed(
    await bladeroot(['release', 'publish', '--key', key]),
    /release\.key is another key \(\w+\) than this fleet's; blades trust \w+ alone/,
  );
  assertFailed(await other.bladeroot(['init']), /holds other things, and no fleet\.yaml; choose an empty/);
});

describe('with a network of its own', { skip: needsRoot }, () => {
  const namespace = `bladeroot-bad-${process.pid}`;
  const ip = async (...args: string[]): Promise<unknown> => await run('ip', ['-n', namespace, ...args]);

  before(async () => {
    await run('ip', ['netns', 'add', namespace]);
    await ip('link', 'set', 'lo', 'up');
    await ip('link', 'add', 'seg0', 'type', 'veth', 'peer', 'name', 'seg1');
    for (const [name, address] of [
      ['seg0', '10.77.0.1/24'],
      ['seg1', '10.77.0.2/24'],
    ] as const) {
      await ip('address', 'add', address, 'dev', name);
      await ip('link', 'set', name, 'up');
    }
  });
  after(async () => await run('ip', ['netns', 'delete', namespace]));

  for (const [what, kind, port, line] of [
    [
      'DHCP',
      'udp',
      67,
      /DHCP cannot listen at .*67.*: another program already does; .*dnsmasq.*`ss -lunp 'sport = :67'`/,
    ],
    [
      'TFTP',
      'udp',
      69,
      /TFTP cannot listen at 10\.77\.0\.1 port 69: another program already does; .*ss -lunp/,
    ],
    [
      'HTTP',
      'tcp',
      8067,
      /HTTP cannot listen at 10\.77\.0\.1 port 8067: another program already does; .*ss -ltnp/,
    ],
  ] as const) {
    test(`the port of ${what} is in use`, async (t) => {
      const where = await place(t);
      await published(where);
      const listen =
        kind === 'udp'
          ? `require('dgram').createSocket('udp4').bind(${port}, '0.0.0.0', () => console.log('on'))`
          : `require('net').createServer().listen(${port}, '0.0.0.0', () => console.log('on'))`;
      const other = startPiped('ip', ['netns', 'exec', namespace, process.execPath, '-e', listen]);
      try {
        await new Promise((resolve) => other.stdout.once('data', resolve));
        assertOneLine(await where.bladeroot(['serve', '--interface', 'seg0'], namespace), line);
      } finally {
        other.kill('SIGKILL');
        await assert.rejects(other.done);
      }
    });
  }

  test('two interfaces in the subnet: the one that is meant has to be named', async (t) => {
    const where = await place(t);
    await published(where);
    assertOneLine(
      await where.bladeroot(['serve'], namespace),
      /several interfaces are in the fleet's subnet 10\.77\.0\.0\/24: seg0, seg1; say which one with --interface/,
    );
  });
});

describe('usage', () => {
  test('wrong usage ends with 2 and says what is wrong', async (t) => {
    const { bladeroot } = await place(t);
    for (const [args, said] of [
      [['nosuch'], /unknown command 'nosuch'/],
      [['tree', 'nosuch'], /unknown command 'nosuch'/],
      [['serve', '--nosuch'], /unknown option '--nosuch'/],
      [['serve', '--interface'], /argument missing/],
      [['blade', 'show'], /missing required argument 'blades'/],
      [['promote', 'a'], /too many arguments/],
      [['tree', 'create', 'x'], /required option '--from <source>'/],
      [[], /Usage: bladeroot/],
      [['tree'], /Usage: bladeroot tree/],
    ] as const) {
      const ended = await bladeroot([...args]);
      assert.deepEqual([ended.status, ended.stdout], [2, ''], args.join(' '));
      assert.match(ended.stderr, said);
      assertNoTrace(ended);
    }
  });

  test('who reads what is printed may stop reading, as head does', async () => {
    const { stderr } = await run('bash', ['-c', '{ "$0" --help; echo "status $?" >&2; } | true', PROGRAM]);
    assert.equal(stderr, 'status 0\n');
  });

  test('the help of every command ends with 0 and has examples', async (t) => {
    const { bladeroot } = await place(t);
    const seen: string[] = [];
    const look = async (words: string[]): Promise<void> => {
      const { status, stdout, stderr } = await bladeroot([...words, '--help']);
      const name = ['bladeroot', ...words].join(' ');
      assert.deepEqual([status, stderr], [0, ''], name);
      assert.match(stdout, /^Examples:\n {2}\S/m, name);
      seen.push(name);
      const [, commands = ''] = /^Commands:\n((?: +.*\n)*)/m.exec(stdout) ?? [];
      const children: Promise<void>[] = [];
      for (const [, child = ''] of commands.matchAll(/^ {2}(\w\S*)/gm)) {
        if (child !== 'help') children.push(look([...words, child]));
      }
      await Promise.all(children);
    };
    await look([]);
    for (const name of [
      'init',
      'tree exec',
      'snapshot unpack',
      'blade show',
      'release publish',
      'serve',
      'promote',
    ]) {
      assert.ok(seen.includes(`bladeroot ${name}`), `${name} was not seen`);
    }
  });

  test('--json prints exactly one JSON value on stdout, also where there is nothing', async (t) => {
    const where = await place(t, FLEET);
    const value = async (...args: string[]): Promise<unknown> => {
      const { status, stdout, stderr } = await where.bladeroot([...args, '--json']);
      assert.equal(status, 0, stderr);
      assert.match(stdout, /^[^\n]+\n$/);
      return JSON.parse(stdout);
    };
    const isNew = await value('init');
    assert.deepEqual(isNew, { state: where.state, fleet: where.fleet, newKey: true, newFolder: false });
    for (const noun of ['tree', 'snapshot', 'release']) assert.deepEqual(await value(noun, 'list'), []);
    const [listed] = z.array(z.unknown()).parse(await value('blade', 'list'));
    assert.deepEqual(await value('blade', 'show', 'web01'), listed);
    await published(where);
    const shown = await value('release', 'show');
    assert.deepEqual(await value('release', 'list'), [shown]);
    await value('snapshot', 'pack', `${where.fleet}/`);
  });
});
