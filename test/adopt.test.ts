/** A machine without a name and the person who gives it one: agent, root and command line, all but the wire between them. */
import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { z } from 'zod';
import { awaitAdoption } from '../src/agent/await-adoption.ts';
import { sampleMachine } from '../src/fleet/machine.fixture.ts';
import type { Machine } from '../src/fleet/machine.ts';
import { folderOf } from '../src/fleet/folder.fixture.ts';
import { createKeys, readPrivateKey, readPublicKey } from '../src/release/keys.ts';
import { sampleRelease } from '../src/release/release.fixture.ts';
import { ReleaseRepository } from '../src/release/repository.ts';
import { openDatabase } from '../src/state/database.ts';
import { MachineRepository } from '../src/state/machines.ts';
import { place, type Ended, type Place } from './bladeroot.fixture.ts';
import { publishedRoot, serveRoot, succeeds } from './published-root.fixture.ts';

const FLEET = `# the lab
name: lab
network: # no DNS here
  subnet: 10.77.0.0/24
  gateway: 10.77.0.13
  pool: { from: 10.77.0.14, to: 10.77.0.30 }
profiles:
  web: { vars: { role: web } }
blades:
  web01: { mac: "52:54:00:77:00:11", address: 10.77.0.11, profile: web } # rack 1
  web02: { mac: "52:54:00:77:00:12", address: 10.77.0.12, profile: web }
`;

const MAC = '52:54:00:77:00:99';
const machine = sampleMachine({ mac: MAC, serial: '4QX0P33', guid: '4c4c4544-0051-5810-8030-b4c04f503333' });

const adopted = z.object({
  blade: z.string(),
  mac: z.string(),
  address: z.string(),
  release: z.number().optional(),
});

/** A state directory with a key and a release, but nothing that a further release could be made of. */
async function released(t: TestContext): Promise<Place> {
  const where = await place(t, { 'fleet.yaml': FLEET });
  await createKeys(where.state);
  const releases = new ReleaseRepository(where.state, await readPublicKey(where.state));
  await releases.put(sampleRelease(await readPrivateKey(where.state)));
  return where;
}

async function fails(where: Place, args: string[], said: RegExp): Promise<void> {
  const ended: Ended = await where.bladeroot(args);
  assert.deepEqual([ended.status, ended.stdout], [1, ''], ended.stderr);
  assert.match(ended.stderr.trimEnd(), said);
  assert.equal(ended.stderr.trimEnd().split('\n').length, 1, ended.stderr);
}

/** Machines whose maker has given all of them one serial number. */
function twin(last: string): Machine {
  return sampleMachine({ mac: `52:54:00:77:00:${last}`, serial: 'SAME-1' });
}

/** What the root of this state directory would know of machines that have said hello. */
function heard(where: Place, ...machines: Machine[]): void {
  const database = openDatabase(where.state);
  const repository = new MachineRepository(database);
  for (const [index, one] of machines.entries()) repository.seen(one, Date.now() - 1000 * index);
  database.close();
}

test('a machine that waits goes on by itself as soon as somebody has given it a name', async (t) => {
  const where = await publishedRoot(t, { 'fleet.yaml': FLEET });
  const { url, publicKey, events, current } = await serveRoot(t, where);
  const shown = Promise.withResolvers<string>();
  const gone = new AbortController();
  t.after(() => gone.abort());
  const found = awaitAdoption({
    machine,
    unclaimed: { root: url, release: current.get(), blade: undefined },
    roots: [url],
    publicKey,
    show: shown.resolve,
    wait: async () => {
      gone.signal.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 20));
    },
  });
  assert.match(await shown.promise, /bladeroot blade adopt 52:54:00:77:00:99 NAME/);

  const list = await succeeds(where, 'blade', 'list', '--pending');
  assert.match(
    list,
    /^MAC +SERIAL +MODEL +CPUS +MEMORY +DISKS +IDENTITY +SEEN\n52:54:00:77:00:99 +4QX0P33 +QEMU Standard PC +2 +1\.1 GB +8\.6 GB +now\n$/,
  );
  const json = await succeeds(where, 'blade', 'adopt', '4qx0p33', 'web03', '--profile', 'web', '--json');
  // .13 is the router, the pool begins behind it.
  assert.deepEqual(adopted.parse(JSON.parse(json)), {
    blade: 'web03',
    mac: MAC,
    address: '10.77.0.31',
    release: 2,
  });

  const { blade, release } = await found;
  assert.deepEqual([blade.name, blade.address, release.statement.sequence], ['web03', '10.77.0.31', 2]);
  assert.equal(release.statement.message, 'web03 is adopted');
  assert.deepEqual(
    events.since(0).map(({ type }) => type),
    ['machine.pending', 'machine.adopted'],
  );
  const line = '  web03: { mac: "52:54:00:77:00:99", address: 10.77.0.31, profile: web }\n';
  assert.equal(await readFile(join(where.fleet, 'fleet.yaml'), 'utf8'), FLEET + line);
  assert.equal(await succeeds(where, 'blade', 'list', '--pending'), 'no machine waits for a name\n');
});

test('the same command again, after it was broken off, publishes what is missing; two at once lose nothing', async (t) => {
  const where = await publishedRoot(t, { 'fleet.yaml': FLEET });
  const other = sampleMachine({ mac: '52:54:00:77:00:98' });
  heard(where, machine, other);
  await succeeds(where, 'blade', 'adopt', MAC, 'web03', '--no-publish');
  const [again, both] = await Promise.all([
    succeeds(where, 'blade', 'adopt', MAC, 'web03', '--json'),
    succeeds(where, 'blade', 'adopt', '5254.0077.0098', 'web04', '--address', '10.77.0.40', '--json'),
  ]);
  const releases = [again, both].map((text) => adopted.parse(JSON.parse(text)).release);
  // Whichever came second has published both, or found that both are published.
  assert.ok(
    releases.includes(2) && releases.every((release) => release === 2 || release === 3),
    String(releases),
  );
  const shown = JSON.parse(await succeeds(where, 'release', 'show', '--json'));
  const names = z
    .object({ blades: z.array(z.object({ name: z.string(), mac: z.string() })) })
    .parse(shown).blades;
  assert.deepEqual(names.slice(2), [
    { name: 'web03', mac: MAC },
    { name: 'web04', mac: other.mac },
  ]);
});

test('without publishing, only fleet.yaml changes, and it stays whose and what it was', async (t) => {
  const where = await released(t);
  heard(where, machine);
  // As where the folder that git has lies elsewhere.
  const real = join(await folderOf(t, { 'fleet.yaml': FLEET }), 'fleet.yaml');
  const path = join(where.fleet, 'fleet.yaml');
  await rm(path);
  await symlink(real, path);
  await chmod(real, 0o600);
  const said = await succeeds(where, 'blade', 'adopt', machine.guid ?? '', 'db01', '--no-publish');
  assert.match(said, /db01 goes on after the next `bladeroot release publish`/);
  assert.match(await readFile(real, 'utf8'), /^ {2}db01: .*10\.77\.0\.31 \}$/m);
  assert.equal((await stat(real)).mode & 0o777, 0o600);
  const { length } = JSON.parse(await succeeds(where, 'release', 'list', '--json'));
  assert.equal(length, 1);
});

test('the address is of the network that the machine was seen in, unless another is named', async (t) => {
  const where = await released(t);
  const networks = 'networks:\n  rack2: { subnet: 10.78.0.0/24 }\n';
  await writeFile(join(where.fleet, 'fleet.yaml'), FLEET.replace('profiles:', `${networks}profiles:`));
  const inRack2 = sampleMachine({ mac: '52:54:00:77:00:98' });
  const database = openDatabase(where.state);
  new MachineRepository(database).seen(inRack2, Date.now(), '10.78.0.201');
  database.close();
  heard(where, machine);
  const addressOf = async (...args: string[]): Promise<string> =>
    adopted.parse(JSON.parse(await succeeds(where, 'blade', 'adopt', ...args, '--no-publish', '--json')))
      .address;
  assert.equal(await addressOf(inRack2.mac, 'db01'), '10.78.0.11');
  await fails(
    where,
    ['blade', 'adopt', MAC, 'db02', '--network', 'rack3', '--no-publish'],
    /there is no network rack3; did you mean rack2\?; there are: main, rack2/,
  );
  assert.equal(await addressOf(MAC, 'db02', '--network', 'rack2'), '10.78.0.12');
});

test('what cannot be adopted is told in one line, and fleet.yaml stays as it was', async (t) => {
  const where = await released(t);
  const none = /no machine 4QX0P33 waits for a name; none waits at all: boot it from the network/;
  await fails(where, ['blade', 'adopt', '4QX0P33', 'web03'], none);
  const known = sampleMachine({ mac: '52:54:00:77:00:12' });
  heard(where, machine, twin('a1'), twin('a2'), known);
  const adopt = async (args: string[], said: RegExp): Promise<void> =>
    await fails(where, ['blade', 'adopt', ...args], said);
  await adopt(
    ['4QX0P34', 'web03'],
    /no machine 4QX0P34 waits .*; did you mean 4QX0P33\?; those that wait: .*52:54:00:77:00:99 \(QEMU/,
  );
  await adopt(
    ['SAME-1', 'web03'],
    /SAME-1 is what 2 waiting machines have; .*MAC .*: 52:54:00:77:00:a2, 52:54:00:77:00:a1/,
  );
  await adopt([MAC, 'web01'], /there is a blade web01 already \(52:54:00:77:00:11\); choose another name/);
  await adopt([known.mac, 'web03'], /this machine is the blade web02 in fleet\.yaml; .*release publish/);
  await adopt(
    [MAC, 'Web_3'],
    /cannot be changed so: .*"Web_3" is not the name of a blade; write .*web01; the fleet folder is as it was/,
  );
  await adopt([MAC, 'unknown'], /unknown is what machines without a name are called/);
  await adopt(
    [MAC, 'web03', '--address', '10.77.0.11'],
    /10\.77\.0\.11 stands twice: blade web01 has it already/,
  );
  await adopt(
    [MAC, 'web03', '--address', '10.78.0.11'],
    /10\.78\.0\.11 is not in the subnet 10\.77\.0\.0\/24/,
  );
  await adopt([MAC, 'web03', '--address', 'soon'], /"soon" is not an IPv4 address/);
  await adopt([MAC, 'web03', '--profile', 'wbe'], /there is no profile wbe; did you mean web\?/);
  await rm(join(where.state, 'keys/release.key'));
  await adopt([MAC, 'web03'], /needs the fleet's key, which is not in .*keys; bring it here, .*--no-publish/);
  assert.equal(await readFile(join(where.fleet, 'fleet.yaml'), 'utf8'), FLEET);
});

test('--pending of a root that has heard nothing, and as JSON', async (t) => {
  const where = await place(t);
  assert.equal(await succeeds(where, 'blade', 'list', '--pending'), 'no machine waits for a name\n');
  assert.deepEqual(JSON.parse(await succeeds(where, 'blade', 'list', '--pending', '--json')), []);
  await mkdir(where.state, { recursive: true });
  heard(where, machine);
  const [{ firstSeen, lastSeen, ...rest }] = JSON.parse(
    await succeeds(where, 'blade', 'list', '--pending', '--json'),
  );
  assert.deepEqual(rest, machine);
  assert.ok(Date.now() - Date.parse(firstSeen) < 60_000 && firstSeen === lastSeen);
});
