import assert from 'node:assert/strict';
import { appendFile, lstat, mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { describeTree } from '../image/testing/describe-tree.ts';
import { HttpSource } from '../store/http-source.ts';
import { Store } from '../store/store.ts';
import { run } from '../system/run.ts';
import { fetchRest } from './fetch-image.ts';
import { fillSlot, type FillRequest } from './fill.ts';
import { mountOnce, unmountIfMounted } from './mounts.ts';
import { loopDevice, scratch, TestFleet } from './slots.fixture.ts';

const SLOT_BYTES = 64 * 1024 ** 2;

interface Scene {
  base: string;
  fleet: TestFleet;
  slot: string;
  device: string;
  said: string[];
  /** Fills the slot with what is current, as the agent and the running blade do. */
  fill(request?: Partial<FillRequest>): Promise<void>;
  /** As it is on the disk; without what the file system has of its own. */
  requireTree(): Promise<void>;
}

async function setScene(t: TestContext): Promise<Scene> {
  const base = await scratch(t);
  const fleet = await TestFleet.make(base);
  await fleet.publish();
  const source = new HttpSource(`${await fleet.serve(t)}/store`);
  t.after(() => source.close());
  const device = await loopDevice(t, join(base, 'slot.img'), SLOT_BYTES);
  const slot = join(base, 'slot');
  const mirror = await Store.open(join(base, 'mirror'));
  const said: string[] = [];
  const fill = async (request: Partial<FillRequest> = {}): Promise<void> => {
    const { current } = fleet;
    assert.ok(current !== undefined);
    const { publicKey } = fleet.keys;
    const same = { release: current, toRun: current, publicKey, source, mirror, directory: slot };
    const all = { ...same, device, label: 'test', fresh: false, say: (what: string) => said.push(what) };
    await fillSlot({ ...all, ...request });
    await fetchRest({ ...same, ...request });
    await unmountIfMounted(slot);
  };
  const requireTree = async (): Promise<void> => {
    await mountOnce(device, slot);
    await assertSlot(slot, fleet.tree);
    await unmountIfMounted(slot);
  };
  return { base, fleet, slot, device, said, fill, requireTree };
}

/** Requires that a slot cannot be told from a tree, but for what the file system has of its own. */
async function assertSlot(slot: string, tree: string): Promise<void> {
  const found = (await describeTree(slot)).filter((line) => !line.includes('"path": "lost+found"'));
  assert.deepEqual(found, await describeTree(tree));
}

test('a slot with an older release becomes the new one: what is the same is not written, what is not of it is gone', async (t) => {
  const { fleet, slot, device, said, fill, requireTree } = await setScene(t);
  await fill();
  await requireTree();
  await mountOnce(device, slot);
  const before = await lstat(join(slot, 'usr/noise'));
  await appendFile(join(slot, 'etc/os-release'), 'changed on the blade\n');
  await mkdir(join(slot, 'var/log'), { recursive: true });
  await writeFile(join(slot, 'var/log/messages'), 'grown on the blade\n');
  await unmountIfMounted(slot);

  await writeFile(join(fleet.tree, 'usr/share/notes/7'), 'new');
  await rm(join(fleet.tree, 'usr/share/notes/8'));
  await fleet.publish();
  const sent = fleet.bytesSent;
  await fill();
  assert.ok(fleet.bytesSent - sent < 20_000, `${fleet.bytesSent - sent} bytes were fetched`);
  await requireTree();
  await mountOnce(device, slot);
  const after = await lstat(join(slot, 'usr/noise'));
  assert.deepEqual([after.ino, after.ctimeMs], [before.ino, before.ctimeMs], 'it was not touched');
  await unmountIfMounted(slot);
  assert.deepEqual(said, ['reading the slot back from the disk'], 'there was nothing to mend');
});

test('content that has changed behind the back of its size and time is found and written anew', async (t) => {
  const { slot, device, said, fill, requireTree } = await setScene(t);
  await fill();
  await mountOnce(device, slot);
  const path = join(slot, 'usr/noise');
  const { mtimeNs } = await lstat(path, { bigint: true });
  const file = await open(path, 'r+');
  await file.write(Buffer.from('rot'), 0, 3, 1_234_567);
  await file.close();
  const [seconds, nanoseconds] = [mtimeNs / 10n ** 9n, String(mtimeNs % 10n ** 9n).padStart(9, '0')];
  await run('touch', [`--date=@${seconds}.${nanoseconds}`, path]);
  await unmountIfMounted(slot);
  await fill();
  assert.equal(said.length, 2, 'it was mended, and read once more');
  await requireTree();
});

test('a file system that is no longer whole is made anew, and so is one when that is wanted', async (t) => {
  const { slot, device, said, fill, requireTree } = await setScene(t);
  await fill();
  const uuid = async (): Promise<string> =>
    (await run('blkid', ['--probe', '--match-tag', 'UUID', '--output', 'value', device])).stdout;
  const first = await uuid();
  await fill();
  assert.equal(await uuid(), first, 'a whole one is kept');
  await fill({ fresh: true });
  const second = await uuid();
  assert.notEqual(second, first);
  await run('dd', ['if=/dev/urandom', `of=${device}`, 'bs=1M', 'count=8', 'conv=notrunc,fsync']);
  await fill();
  assert.notEqual(await uuid(), second);
  await requireTree();
  // What cannot be removed cannot be updated.
  await mountOnce(device, slot);
  await run('chattr', ['+i', join(slot, 'usr/share/notes/3')]);
  await writeFile(join(slot, 'etc/os-release'), 'x');
  await run('chattr', ['+i', join(slot, 'etc/os-release')]);
  await unmountIfMounted(slot);
  said.length = 0;
  await fill();
  assert.match(said.join('\n'), /is made anew: .*os-release/);
  await requireTree();
});

test('what the other slot has is copied from there, if it hashes to what it is to be, and not fetched', async (t) => {
  const { base, fleet, slot, device, fill } = await setScene(t);
  await fill();
  const beside = join(base, 'beside');
  await mountOnce(device, slot);
  await run('cp', ['-a', slot, beside]);
  await unmountIfMounted(slot);
  // As long as it was, and something else.
  const lie = join(beside, 'usr/share/notes/9');
  await writeFile(lie, 'x'.repeat((await readFile(lie)).length));

  // A blade that has lost its store: its slot is filled with hardly anything from the root.
  const { current } = fleet;
  assert.ok(current !== undefined);
  const source = new HttpSource(`${await fleet.serve(t)}/store`);
  t.after(() => source.close());
  const mirror = await Store.open(join(base, 'new-mirror'));
  const { publicKey } = fleet.keys;
  const request = { release: current, toRun: current, publicKey, source, mirror, directory: slot };
  const sent = fleet.bytesSent;
  await fillSlot({ ...request, device, label: 'test', fresh: true, beside, say: () => undefined });
  const [filled, all] = [fleet.bytesSent - sent, fleet.packBytes];
  assert.ok(filled < all / 2, `${filled} of ${all} bytes were fetched`);
  await assertSlot(slot, fleet.tree);
  await unmountIfMounted(slot);

  // To be the root it needs the packs all the same; what it has of them is not fetched again.
  await fetchRest(request);
  const extra = fleet.bytesSent - sent - all;
  assert.ok(extra < 150_000, `${extra} bytes were fetched beside the packs`);
  assert.deepEqual(await mirror.listSnapshots(), await fleet.store.listSnapshots());
});
