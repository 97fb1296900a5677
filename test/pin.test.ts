/** Blades that are pinned to a release: from the fleet folder to what the root serves and the agent installs. */
import assert from 'node:assert/strict';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fetchImage, fetchRest } from '../src/slot/fetch-image.ts';
import { findRelease, releaseOf } from '../src/agent/find-release.ts';
import { serveRelease } from '../src/agent/release.fixture.ts';
import { folderOf } from '../src/fleet/folder.fixture.ts';
import { collectGarbage } from '../src/release/collect-garbage.ts';
import { removeSnapshots } from '../src/release/remove-snapshots.ts';
import { ReleaseRepository } from '../src/release/repository.ts';
import { releaseBlobs, releaseSnapshots, releaseToRun } from '../src/release/statement.ts';
import { verifyStore } from '../src/release/verify.ts';
import { HttpSource } from '../src/store/http-source.ts';
import { Store } from '../src/store/store.ts';
import { key, publicKey, publishScene, type PublishScene } from './publish-scene.fixture.ts';

/** Release 1 with one kernel, release 2 with another, and release 3, in which web01 is pinned to release 1. */
async function threeReleases(t: TestContext): Promise<PublishScene> {
  const scene = await publishScene(t);
  await scene.publish();
  await writeFile(join(scene.tree, 'boot/vmlinuz-6.1.0-9'), 'a newer kernel');
  await writeFile(join(scene.fleet, 'overlays/web/etc/motd'), 'something newer\n');
  await scene.pack();
  await scene.publish();
  await scene.publish({ web01: 1 });
  return scene;
}

test('a pinned blade is in the new release as it was in the old one; the others are not', async (t) => {
  const { releases, publish } = await threeReleases(t);
  const [first, second, third] = await releases.all();
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  const [web, mail] = third.blades;
  assert.ok(web?.pin !== undefined && mail !== undefined);
  const { pin, ...rest } = web;
  assert.deepEqual(rest, first.blades[0]);
  assert.equal(pin.release, 1);
  assert.deepEqual([pin.snapshot, pin.kernel, pin.initrd], [first.snapshot, first.kernel, first.initrd]);
  assert.notDeepEqual(pin.kernel, second.kernel);
  assert.deepEqual(mail, second.blades[1]);
  assert.deepEqual(third.kernel, second.kernel);
  assert.deepEqual([releaseToRun(third, web), releaseToRun(third, mail)], [1, 3]);
  assert.deepEqual(releaseSnapshots(third), [second.snapshot, first.snapshot]);

  assert.equal((await publish({ web01: 1 })).isNew, false, 'the same pin makes no new release');
  assert.equal((await publish({ web01: 'latest' })).isNew, true);
  assert.equal((await releases.current())?.statement.blades[0]?.pin, undefined);
});

test('a pin to what is not there, or cannot be run there, is refused, and nothing is published', async (t) => {
  const { releases, publish, fleet, store } = await threeReleases(t);
  const refused = async (pins: Record<string, number>, message: RegExp, hint: RegExp): Promise<void> => {
    await assert.rejects(publish(pins), { code: 'PIN_INVALID', message, hint });
    assert.deepEqual(await releases.sequences(), [1, 2, 3]);
  };
  await refused(
    { mail01: 17 },
    /^fleet\.yaml:\d+: blades\.mail01\.pin: there is no release 17 \(blade mail01\)$/,
    /there are 1, 2, 3/,
  );
  await refused({ mail01: 4 }, /no release 4/, /there are/);
  await refused({ web01: 3 }, /in release 3 it was pinned itself, to release 1 \(/, /pin: 1/);
  const first = (await releases.read(1)).statement;
  await rm(store.blobPath(first.blades[1]?.overlay.digest ?? ''));
  await refused({ mail01: 1 }, /not all that release 1 needs is in the store/, /repair-from/);

  const text = (await readFile(join(fleet, 'fleet.yaml'), 'utf8')).replace('10.77.0.11', '10.77.0.12');
  const moved = await publishScene(t, text.replace(/pin: \d+, /, ''));
  await moved.publish();
  // The same releases, as if web01 had been given another address since.
  for (const name of await readdir(releases.directory)) {
    const envelope = await readFile(join(releases.directory, name));
    await writeFile(join(moved.releases.directory, name), envelope);
  }
  await assert.rejects(moved.publish({ web01: 2 }), {
    code: 'PIN_INVALID',
    message: /in release 2 its address is 10\.77\.0\.11, and in the fleet folder 10\.77\.0\.12 \(/,
  });
});

test('the root serves a pinned blade its kernel, and the agent takes the old release on the word of the new one', async (t) => {
  const { releases, store } = await threeReleases(t);
  const current = await releases.current();
  assert.ok(current !== undefined);
  const root = await serveRelease(t, store, current);
  const served = async (path: string): Promise<string> => await (await fetch(`${root}/boot/${path}`)).text();
  assert.equal(await served('web01/vmlinuz'), 'kernel');
  assert.equal(await served('mail01/vmlinuz'), 'a newer kernel');
  assert.match(await served('web01/script.ipxe'), /web01, release 1:/);
  assert.match(await served('mail01/script.ipxe'), /mail01, release 3:/);

  const source = new HttpSource(`${root}/store`);
  t.after(() => source.close());
  const found = await findRelease([root], publicKey, { macs: ['52:54:00:77:00:11'] });
  assert.ok(found.blade !== undefined);
  const toRun = await releaseOf(found, source, publicKey);
  assert.deepEqual([found.release.statement.sequence, toRun.statement.sequence], [3, 1]);
  const other = await findRelease([root], publicKey, { macs: ['52:54:00:77:00:21'] });
  assert.ok(other.blade !== undefined);
  assert.equal((await releaseOf(other, source, publicKey)).statement.sequence, 3);

  // It runs the old one, and has what it takes to be the root for all.
  const [slot, state] = [await folderOf(t, {}), await folderOf(t, {})];
  const mirror = await Store.open(join(state, 'store'));
  const request = { ...found, toRun, publicKey, source, mirror, directory: slot };
  await fetchImage(request);
  await fetchRest(request);
  assert.equal(await readFile(join(slot, 'boot/vmlinuz-6.1.0-9'), 'utf8'), 'kernel');
  const own = new ReleaseRepository(state, publicKey);
  for (const one of [toRun, found.release]) await own.put(one);
  assert.deepEqual((await verifyStore({ store: mirror, publicKey, releases: own })).problems, []);
  for (const { id } of releaseSnapshots(current.statement)) {
    assert.ok((await mirror.listSnapshots()).includes(id));
  }
});

test('what a pin needs stays in the store, even where the old release is gone', async (t) => {
  const { releases, store, pack, publish, tree } = await threeReleases(t);
  const [first] = await releases.all();
  assert.ok(first !== undefined);
  await writeFile(join(tree, 'more'), 'more');
  await pack();
  await publish({ web01: 1 });
  for (const sequence of [1, 2, 3]) await rm(join(releases.directory, `${sequence}.json`));
  await assert.rejects(removeSnapshots(store, releases, [first.snapshot.id]), {
    code: 'SNAPSHOT_IN_USE',
    message: /release 4 installs/,
  });
  await collectGarbage({ store, releases, publicKey, key });
  const [last] = await releases.all();
  assert.ok(last !== undefined);
  for (const { digest } of releaseBlobs(last)) assert.ok(await store.hasBlob(digest));
  assert.deepEqual((await verifyStore({ store, publicKey, releases })).problems, []);
  // As on a promoted blade: what the release before carries is enough to go on with the pin.
  await writeFile(join(tree, 'more'), 'even more');
  await pack();
  const next = await publish({ web01: 1 });
  assert.equal(next.release.statement.sequence, 5);
  assert.equal(next.release.statement.blades[0]?.pin?.release, 1);
});
