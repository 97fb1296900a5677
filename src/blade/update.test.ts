import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readPublicKey } from '../release/keys.ts';
import { ReleaseRepository } from '../release/repository.ts';
import { verifyStore } from '../release/verify.ts';
import { mountOnce, unmountIfMounted } from '../slot/mounts.ts';
import { loopDevice, scratch } from '../slot/slots.fixture.ts';
import { sha256 } from '../store/digest.ts';
import { Store } from '../store/store.ts';
import { run, startPiped } from '../system/run.ts';
import { markGood, readChoice } from './grub/esp.ts';
import { readBladeState, writeBladeState } from './state.ts';
import { updateBlade } from './update.ts';
import { makeBlade, type UpdatedBlade } from './updated-blade.fixture.ts';

/** What the slot that is not running has, as it is on the disk. */
async function filesIn({ places }: UpdatedBlade, slot: 'a' | 'b'): Promise<Map<string, string>> {
  await mountOnce(places.devices[slot], places.mountPoint, { options: 'ro,noload' });
  const found = new Map<string, string>();
  for (const path of ['etc/os-release', 'etc/motd', 'usr/share/notes/7', 'etc/fstab']) {
    found.set(path, await readFile(join(places.mountPoint, path), 'utf8'));
  }
  found.set('noise', sha256(await readFile(join(places.mountPoint, 'usr/noise'))));
  await unmountIfMounted(places.mountPoint);
  return found;
}

/** All that anybody can tell of the running slot: no byte of the device may change while it is not written. */
async function runningBytes({ places }: UpdatedBlade): Promise<string> {
  await run('blockdev', ['--flushbufs', places.devices.a]);
  return (await run('sha256sum', [places.devices.a])).stdout;
}

async function requireUpdated(blade: UpdatedBlade, release: number): Promise<void> {
  const { places, fleet } = blade;
  const state = await readBladeState(places.stateDirectory);
  assert.equal(state?.slots.b?.release, release);
  assert.equal(state.slots.b.good, false, 'it has not proved good yet');
  assert.deepEqual(state.slots.a?.release, 1);
  assert.equal(state.newest, release);
  assert.deepEqual(await readChoice(places.esp), { good: 'a', trial: { slot: 'b', tries: 2 } });
  const files = await filesIn(blade, 'b');
  assert.equal(files.get('etc/motd'), `release ${release}\n`);
  assert.equal(files.get('usr/share/notes/7'), await readFile(join(fleet.tree, 'usr/share/notes/7'), 'utf8'));
  assert.match(files.get('etc/fstab') ?? '', /^PARTLABEL=bladeroot-b \/ /);
  assert.equal(files.get('noise'), sha256(await readFile(join(fleet.tree, 'usr/noise'))));
  const publicKey = await readPublicKey(places.stateDirectory);
  const store = await Store.openExisting(join(places.stateDirectory, 'store'));
  const releases = new ReleaseRepository(places.stateDirectory, publicKey);
  assert.deepEqual((await verifyStore({ store, publicKey, releases })).problems, []);
}

async function change(blade: UpdatedBlade, text: string): Promise<void> {
  await writeFile(join(blade.fleet.tree, 'usr/share/notes/7'), text);
  await blade.fleet.publish();
}

test('the other slot gets the new release and is tried next; the running one is not touched', async (t) => {
  const blade = await makeBlade(t);
  const before = await runningBytes(blade);
  await change(blade, 'two');
  const sent = blade.fleet.bytesSent;
  assert.deepEqual(await updateBlade(blade.options()), { updated: true, release: 2, slot: 'b' });
  // All that it has already is taken from its own store.
  assert.ok(blade.fleet.bytesSent - sent < 40_000, `${blade.fleet.bytesSent - sent} bytes were fetched`);
  await requireUpdated(blade, 2);
  assert.equal(await runningBytes(blade), before);
  assert.deepEqual(
    blade.told.map(({ state }) => state),
    ['started', 'ready'],
  );
  const again = await updateBlade(blade.options());
  assert.deepEqual(again, { updated: false, why: 'slot b holds release 2 already, and is started next' });
});

test('an update that is killed again and again comes to its end, and at every moment what runs is whole', async (t) => {
  const blade = await makeBlade(t);
  const { places } = blade;
  const before = await runningBytes(blade);
  await change(blade, 'two');
  const program = fileURLToPath(new URL('update-process.fixture.ts', import.meta.url));
  const seed = Math.floor(Math.random() * 1e9);
  t.diagnostic(`seed ${seed}`);
  let random = seed;
  const next = (): number => (random = (random * 48271) % 2147483647) / 2147483647;
  let killed = 0;
  for (let i = 0; ; i++) {
    const child = startPiped(process.execPath, [program, JSON.stringify(places)]);
    const ended = child.done.then(
      () => true,
      () => false,
    );
    if (i < 5) {
      // It is killed some time after it has begun to work: reading its key takes most of a second.
      await Promise.race([once(child.stdout, 'data'), ended]);
      await Promise.race([sleep(400 * next()), ended]);
      child.kill('SIGKILL');
    }
    const done = await ended;
    const choice = await readChoice(places.esp);
    assert.equal(choice.good, 'a');
    const state = await readBladeState(places.stateDirectory);
    assert.equal(state?.slots.a?.good, true);
    // What can be started is whole.
    if (choice.trial !== undefined) await requireUpdated(blade, 2);
    if (done) break;
    killed++;
  }
  t.diagnostic(`killed ${killed} times`);
  if ((await readChoice(places.esp)).trial === undefined) await updateBlade(blade.options());
  await requireUpdated(blade, 2);
  assert.equal(await runningBytes(blade), before);
});

test('while the running slot has not proved good, the other one stays as it is', async (t) => {
  const blade = await makeBlade(t);
  const { stateDirectory } = blade.places;
  const state = await readBladeState(stateDirectory);
  assert.ok(state?.slots.a !== undefined);
  state.slots.a.good = false;
  await writeBladeState(stateDirectory, state);
  await change(blade, 'two');
  const result = await updateBlade(blade.options());
  assert.ok(!result.updated);
  assert.match(result.why, /slot a, which is running, has not proved good yet/);
  assert.deepEqual(blade.told, []);
});

test('what comes damaged from the root is not started, and the next try finishes it', async (t) => {
  const blade = await makeBlade(t);
  await change(blade, 'two');
  const { store, current } = blade.fleet;
  const initrd = store.blobPath(current?.statement.initrd.digest ?? '');
  const good = await readFile(initrd);
  await writeFile(initrd, good.toString().replace('initrd', 'jnitrd'));
  await assert.rejects(updateBlade(blade.options()), { code: 'BLOB_DAMAGED' });
  assert.deepEqual(await readChoice(blade.places.esp), { good: 'a', trial: undefined });
  assert.equal(blade.told.at(-1)?.state, 'failed');
  await writeFile(initrd, good);
  await updateBlade(blade.options());
  await requireUpdated(blade, 2);
});

test('a root that lags behind, and a release of another fleet, change nothing', async (t) => {
  const blade = await makeBlade(t);
  const { stateDirectory } = blade.places;
  const state = await readBladeState(stateDirectory);
  assert.ok(state !== undefined);
  await writeBladeState(stateDirectory, { ...state, newest: 5 });
  await change(blade, 'two');
  await assert.rejects(updateBlade(blade.options()), { code: 'RELEASE_OLDER' });
  const other = await makeBlade(t);
  await writeBladeState(stateDirectory, { ...state, roots: [other.url] });
  await assert.rejects(updateBlade(blade.options()), { code: 'NO_ROOT', message: /not signed|signature/i });
  assert.deepEqual(blade.told, []);
});

test('a blade that is pinned to what its other slot holds is written nothing, and starts that slot next', async (t) => {
  const blade = await makeBlade(t);
  await change(blade, 'two');
  await updateBlade(blade.options());
  // Slot b comes up, and proves good.
  const { esp, stateDirectory } = blade.places;
  const state = await readBladeState(stateDirectory);
  assert.ok(state?.slots.b !== undefined);
  state.slots.b.good = true;
  await writeBladeState(stateDirectory, state);
  await markGood(esp, 'b');
  const before = await runningBytes(blade);

  const [own] = blade.fleet.current?.statement.blades ?? [];
  assert.ok(own !== undefined);
  const publicKey = await readPublicKey(stateDirectory);
  const pinned = await new ReleaseRepository(stateDirectory, publicKey).read(1);
  const { snapshot, kernel, initrd } = pinned.statement;
  const statement = { digest: sha256(pinned.envelope), bytes: pinned.envelope.length };
  const pin = { release: 1, statement, snapshot, kernel, initrd };
  await blade.fleet.publish({ blades: [{ ...own, pin }] });
  const running = { running: 'b' as const };
  assert.deepEqual(await updateBlade(blade.options(running)), { updated: true, release: 1, slot: 'a' });
  assert.deepEqual(await readChoice(esp), { good: 'a', trial: undefined });
  assert.deepEqual(await readBladeState(stateDirectory), state);
  assert.equal(await runningBytes(blade), before, 'slot a is not written');
  assert.equal(blade.told.at(-1)?.message, 'release 1 is in slot a already, and the next start takes it');
});

test('of several roots the one with the newest release counts', async (t) => {
  const blade = await makeBlade(t);
  const { stateDirectory } = blade.places;
  const state = await readBladeState(stateDirectory);
  assert.ok(state !== undefined);
  await writeBladeState(stateDirectory, { ...state, roots: ['http://127.0.0.1:9', blade.url] });
  await change(blade, 'two');
  assert.deepEqual(await updateBlade(blade.options()), { updated: true, release: 2, slot: 'b' });
  assert.equal((await readBladeState(stateDirectory))?.roots[0], blade.url);
});

test('where the persistent partition has no room, that is said before anything is fetched or written', async (t) => {
  const base = await scratch(t);
  const persist = join(base, 'persist');
  const device = await loopDevice(t, join(base, 'persist.img'), 64 * 1024 ** 2);
  await run('mkfs.ext4', ['-q', '-m', '0', device]);
  await mountOnce(device, persist);
  const blade = await makeBlade(t, join(persist, 'bladeroot'));
  await change(blade, 'two');
  const { bavail, bsize } = await statfs(persist);
  await writeFile(join(persist, 'full'), Buffer.alloc(bavail * bsize - 20 * 1024 ** 2));
  const before = await runningBytes(blade);
  await assert.rejects(updateBlade(blade.options()), {
    code: 'NO_ROOM',
    message: new RegExp(`MB are needed at ${persist}/bladeroot/store, and \\d+ MB are free there`),
    hint: /remove \d+ MB/,
  });
  assert.equal(await runningBytes(blade), before);
  assert.deepEqual(await readChoice(blade.places.esp), { good: 'a', trial: undefined });
  await rm(join(persist, 'full'));
  await updateBlade(blade.options());
  await requireUpdated(blade, 2);
});

test('what no slot and no release needs is removed from the store, but not where an administrator packs and publishes', async (t) => {
  const blade = await makeBlade(t);
  const { stateDirectory } = blade.places;
  const store = join(stateDirectory, 'store');
  const releases = async (): Promise<string[]> => (await readdir(join(stateDirectory, 'releases'))).sort();
  await change(blade, 'two');
  await updateBlade(blade.options());
  assert.deepEqual(await releases(), ['1.json', '2.json']);
  // Release 2 proves bad, and 3 comes in its place.
  await change(blade, 'three');
  const manifests = (await readdir(join(store, 'manifests'))).length;
  await updateBlade(blade.options());
  await requireUpdated(blade, 3);
  assert.deepEqual(await releases(), ['1.json', '3.json']);
  assert.ok((await readdir(join(store, 'manifests'))).length <= manifests + 1);

  await writeFile(join(stateDirectory, 'state.db'), '');
  await change(blade, 'four');
  await updateBlade(blade.options());
  assert.deepEqual(await releases(), ['1.json', '3.json', '4.json']);
});

test('what is deployed again is written into a new file system, though the slots hold the release', async (t) => {
  const blade = await makeBlade(t);
  assert.deepEqual(await updateBlade(blade.options()), {
    updated: false,
    why: 'release 1 is running, in slot a',
  });
  assert.deepEqual(await updateBlade(blade.options({ deploy: true })), {
    updated: true,
    release: 1,
    slot: 'b',
  });
  await requireUpdated(blade, 1);
});
