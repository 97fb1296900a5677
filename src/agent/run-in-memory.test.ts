import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { readBladeState, writeBladeState } from '../blade/state.ts';
import { sampleMachine } from '../fleet/machine.fixture.ts';
import { encodeOverlay } from '../overlay/archive.ts';
import { fileEntry } from '../overlay/entry.ts';
import { openRelease, type SignedRelease } from '../release/repository.ts';
import { newIdentity, readBladeIdentity } from '../secrets/identity-file.ts';
import { HttpSource } from '../store/http-source.ts';
import { run } from '../system/run.ts';
import { usedDisk } from '../disks/disks.fixture.ts';
import { PARTITIONS } from '../fleet/layout.ts';
import type { DiskFacts } from '../fleet/machine.ts';
import { makeFileSystem } from '../storage/file-systems.ts';
import { unmountIfMounted } from '../slot/mounts.ts';
import { keys, makeRelease, serveRelease, signRelease, testBlade } from './release.fixture.ts';
import { Reporter } from './reporter.ts';
import { runInMemory } from './run-in-memory.ts';

const MAC = '52:54:00:77:00:11';

interface Scene {
  base: string;
  /** Where the root filesystem is mounted. */
  root: string;
  release: SignedRelease;
  url: string;
  /** Boots the blade: what it had in memory is gone. Resolves with what its console said. */
  boot(disks?: DiskFacts[]): Promise<string>;
}

async function scene(t: TestContext): Promise<Scene> {
  const base = await mkdtemp(join(tmpdir(), 'bladeroot-memory-'));
  const [root, persist] = [join(base, 'root'), join(base, 'persist')];
  t.after(async () => {
    await unmountIfMounted(root);
    await rm(base, { recursive: true, force: true });
  });
  const { store, release: made } = await makeRelease(base);
  const archive = encodeOverlay([fileEntry('etc/motd', 'this is web01\n', 'test')]);
  const overlay = { digest: await store.putBlob(archive), bytes: archive.length };
  const blade = { ...testBlade('web01', MAC), root: 'ram' as const, overlay };
  const envelope = signRelease({ ...made.statement, blades: [blade] });
  const release = openRelease(envelope, keys.publicKey);
  const url = await serveRelease(t, store, release);
  const boot: Scene['boot'] = async (disks = []) => {
    await unmountIfMounted(root);
    const said: string[] = [];
    const reporter = new Reporter('boot', (line) => said.push(line));
    const request = {
      root: url,
      release,
      toRun: release,
      blade,
      deploy: false,
      publicKey: keys.publicKey,
      source: new HttpSource(`${url}/store`),
      reporter,
      machine: sampleMachine({ mac: MAC }),
      identity: await newIdentity(),
    };
    await runInMemory(request, { root, persist, inspectDisks: async () => disks });
    return said.join('\n');
  };
  return { base, root, release, url, boot };
}

test('without a disk, the image is in a tmpfs and is this blade; what it is known by is new at every boot', async (t) => {
  const { root, url, boot } = await scene(t);
  const console = await boot();
  assert.match(console, /identity, host keys and machine id are new at every boot/);
  const { stdout } = await run('findmnt', ['--noheadings', '--output', 'FSTYPE', root]);
  assert.equal(stdout.trim(), 'tmpfs');
  assert.equal(await readFile(join(root, 'etc/os-release'), 'utf8'), 'ID=test\n');
  assert.equal(await readFile(join(root, 'etc/motd'), 'utf8'), 'this is web01\n');
  assert.equal((await readFile(join(root, 'etc/fstab'), 'utf8')).trim(), '');
  const state = join(root, 'var/lib/bladeroot');
  assert.deepEqual(await readBladeState(state), {
    name: 'web01',
    roots: [url],
    newest: 1,
    slots: {},
    inMemory: 1,
  });
  assert.deepEqual((await readdir(state)).sort(), ['blade.json', 'identity', 'keys', 'releases'], 'no packs');

  const machineId = await readFile(join(root, 'etc/machine-id'), 'utf8');
  const identity = await readBladeIdentity(state);
  await boot();
  assert.notEqual(await readFile(join(root, 'etc/machine-id'), 'utf8'), machineId);
  assert.notDeepEqual(await readBladeIdentity(state), identity);
});

test('on a persistent partition it is known by the same for ever, and what slots hold stays written down', async (t) => {
  const { base, root, boot } = await scene(t);
  const image = join(base, 'disk');
  await writeFile(image, '');
  await truncate(image, 16 * 1024 ** 2);
  const device = (await run('losetup', ['--find', '--show', image])).stdout.trim();
  t.after(async () => await run('losetup', ['--detach', device]));
  await makeFileSystem('ext4', device, 'persist');
  const persistent = {
    number: 5,
    path: device,
    name: PARTITIONS.persist,
    uuid: '',
    type: '',
    start: 0,
    bytes: 0,
    fileSystem: 'ext4',
    blank: false,
  };
  const disks = [usedDisk('/dev/sda', 0, [persistent])];
  const persist = join(base, 'persist');
  const inPersist = async <T>(look: (state: string) => Promise<T>): Promise<T> => {
    await run('mount', [device, persist]);
    try {
      return await look(join(persist, 'bladeroot'));
    } finally {
      await run('umount', [persist]);
    }
  };

  const console = await boot(disks);
  assert.doesNotMatch(console, /new at every boot/);
  assert.match(
    await readFile(join(root, 'etc/fstab'), 'utf8'),
    /^PARTLABEL=bladeroot-persist \/persist ext4 /,
  );
  assert.deepEqual(await readdir(join(root, 'var/lib/bladeroot')), [], 'the partition is mounted there');
  const machineId = await readFile(join(root, 'etc/machine-id'), 'utf8');
  const slot = { release: 1, installed: '2026-01-02T03:04:05Z', good: true };
  const identity = await inPersist(async (state) => {
    await writeBladeState(state, { name: 'web01', roots: [], newest: 1, slots: { a: slot } });
    return await readBladeIdentity(state);
  });
  assert.ok(identity !== undefined);
  await boot(disks);
  assert.equal(await readFile(join(root, 'etc/machine-id'), 'utf8'), machineId);
  assert.deepEqual(await inPersist(readBladeIdentity), identity);
  const state = await inPersist(readBladeState);
  assert.deepEqual([state?.slots, state?.inMemory], [{ a: slot }, 1]);
});
