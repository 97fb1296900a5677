/** What an update meets: a root that goes away, a slot that is too small, a disk that fails. What runs starts next all the same. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { loopDevice } from '../slot/slots.fixture.ts';
import { run } from '../system/run.ts';
import { readChoice } from './grub/esp.ts';
import { readBladeState, writeBladeState } from './state.ts';
import { updateBlade } from './update.ts';
import { makeBlade, type UpdatedBlade } from './updated-blade.fixture.ts';

const MiB = 1024 ** 2;

/** Nothing but the running slot is started. */
async function requireUnharmed({ places }: UpdatedBlade): Promise<void> {
  assert.deepEqual(await readChoice(places.esp), { good: 'a', trial: undefined });
  const state = await readBladeState(places.stateDirectory);
  assert.deepEqual([state?.slots.a?.release, state?.slots.a?.good], [1, true]);
  assert.equal(state?.slots.b, undefined);
}

/** The URL of a wire to the root that is cut for good once so many bytes have come over it. */
async function wireTo(t: TestContext, root: string, bytes: number): Promise<string> {
  const { hostname, port } = new URL(root);
  const ends: Socket[] = [];
  let left = bytes;
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    ends.push(near, far);
    for (const end of [near, far]) end.on('error', () => end.destroy());
    near.pipe(far);
    far.on('data', (chunk) => {
      left -= chunk.length;
      near.write(chunk.subarray(0, chunk.length + Math.min(0, left)));
      if (left > 0) return;
      server.close();
      for (const end of ends) end.destroy();
    });
    far.on('end', () => near.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const end of ends) end.destroy();
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return `http://127.0.0.1:${address.port}`;
}

test('a root that goes away at any moment of an update leaves the blade as it was, and the next try finishes it', async (t) => {
  const blade = await makeBlade(t);
  const { stateDirectory } = blade.places;
  await writeFile(join(blade.fleet.tree, 'usr/noise'), randomBytes(6 * MiB));
  await blade.fleet.publish();
  const state = await readBladeState(stateDirectory);
  assert.ok(state !== undefined);
  // At once; within what belongs to the release; and within its pack, twice.
  for (const bytes of [1, 3000, 1.5 * MiB, 5 * MiB].map((each) => Math.ceil(each * (0.5 + Math.random())))) {
    t.diagnostic(`cut after ${bytes} bytes`);
    const roots = [await wireTo(t, blade.url, bytes)];
    await writeBladeState(stateDirectory, { ...((await readBladeState(stateDirectory)) ?? state), roots });
    // A wire that has brought all that was missing was cut too late.
    const updated = await updateBlade(blade.options()).catch((error: unknown) => {
      assert.ok(error instanceof Error);
      return undefined;
    });
    if (updated !== undefined) break;
    await requireUnharmed(blade);
  }
  await writeBladeState(stateDirectory, {
    ...((await readBladeState(stateDirectory)) ?? state),
    roots: [blade.url],
  });
  await updateBlade(blade.options());
  assert.deepEqual(await readChoice(blade.places.esp), { good: 'a', trial: { slot: 'b', tries: 2 } });
});

test('a release that is larger than its slot is told to the root, and changes nothing', async (t) => {
  const blade = await makeBlade(t);
  const large = join(blade.fleet.tree, 'usr/large');
  await writeFile(large, randomBytes(64 * MiB));
  await blade.fleet.publish();
  await assert.rejects(updateBlade(blade.options()), { code: 'UNPACK_FAILED', message: /no space left/ });
  await requireUnharmed(blade);
  assert.match(blade.told.at(-1)?.message ?? '', /no space left/);
  await rm(large);
  await blade.fleet.publish();
  assert.deepEqual(await updateBlade(blade.options()), { updated: true, release: 3, slot: 'b' });
});

test('a disk that does not take what is written to it is found out before its slot is started', async (t) => {
  const blade = await makeBlade(t);
  const { base, places } = blade;
  // It has its whole length, and an error for each block that it has no memory for.
  const memory = join(base, 'memory');
  await mkdir(memory);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'bladeroot-test', memory]);
  places.devices.b = await loopDevice(t, join(memory, 'b.img'), 64 * MiB);
  await writeFile(join(blade.fleet.tree, 'etc/os-release'), 'ID=two\n');
  await blade.fleet.publish();
  await assert.rejects(updateBlade(blade.options()), { code: 'SLOT_DAMAGED', message: /EIO|ENOSPC/ });
  await requireUnharmed(blade);
  assert.match(blade.told.at(-1)?.message ?? '', /the disk does not take all/);
});
