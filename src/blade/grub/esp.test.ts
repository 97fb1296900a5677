import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Store } from '../../store/store.ts';
import { decodeEnvironment } from './environment.ts';
import {
  markGood,
  placeKernel,
  readChoice,
  startableSlots,
  tryNext,
  withdrawSlot,
  writeChoice,
  type SlotKernel,
} from './esp.ts';

interface Scene {
  esp: string;
  kernelOf(slot: SlotKernel['slot'], version: string): Promise<SlotKernel>;
}

async function scene(t: TestContext): Promise<Scene> {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-esp-'));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  const store = await Store.open(join(directory, 'store'));
  const esp = join(directory, 'esp');
  const blob = async (text: string): Promise<{ digest: string; bytes: number }> => ({
    digest: await store.putBlob(Buffer.from(text)),
    bytes: text.length,
  });
  return {
    esp,
    kernelOf: async (slot, version) => ({
      esp,
      store,
      slot,
      release: {
        kernel: { ...(await blob(`kernel ${version}`)), version },
        initrd: await blob(`initrd ${version}`),
      },
      kernelArgs: ['quiet'],
      partition: '6fd1a3c8-0001',
    }),
  };
}

test('a slot is tried after its kernel is placed, is good when it is marked, and is gone when it is withdrawn', async (t) => {
  const { esp, kernelOf } = await scene(t);
  assert.deepEqual(await readChoice(esp), { good: undefined, trial: undefined });
  await assert.rejects(tryNext(esp, 'a'), { code: 'SLOT_NOT_STARTABLE' });

  await placeKernel(await kernelOf('a', '6.1'));
  await markGood(esp, 'a');
  await placeKernel(await kernelOf('b', '6.2'));
  await tryNext(esp, 'b');
  assert.deepEqual(await startableSlots(esp), ['a', 'b']);
  assert.equal(await readFile(join(esp, 'bladeroot/b/vmlinuz'), 'utf8'), 'kernel 6.2');
  assert.deepEqual(await readChoice(esp), { good: 'a', trial: { slot: 'b', tries: 2 } });
  const block = await readFile(join(esp, 'grub/grubenv'));
  assert.deepEqual(decodeEnvironment(block), { good: 'a', try: 'b', tries: '2' });

  await writeChoice(esp, { good: 'a', trial: undefined });
  assert.deepEqual(await readChoice(esp), { good: 'a', trial: undefined });
  await markGood(esp, 'b');
  assert.deepEqual(await readChoice(esp), { good: 'b', trial: undefined });

  await withdrawSlot(esp, 'b', 'a', async () => {
    // In between it is not chosen any more, and could be started still.
    assert.deepEqual(await readChoice(esp), { good: 'a', trial: undefined });
    assert.deepEqual(await startableSlots(esp), ['a', 'b']);
  });
  assert.deepEqual(await readChoice(esp), { good: 'a', trial: undefined });
  assert.deepEqual(await startableSlots(esp), ['a']);
});

test('of a mirror, every step is done on both ESPs before the next one', async (t) => {
  const { esp, kernelOf } = await scene(t);
  const [first, second] = [join(esp, '1'), join(esp, '2')];
  const esps = [first, second];
  const asOne = async (): Promise<unknown> => {
    const [one, other] = [await readChoice(first), await readChoice(second)];
    assert.deepEqual(one, other);
    assert.deepEqual(await startableSlots(first), await startableSlots(second));
    return one;
  };
  await placeKernel({ ...(await kernelOf('a', '6.1')), esp: esps });
  await placeKernel({ ...(await kernelOf('b', '6.2')), esp: esps });
  await markGood(esps, 'a');
  await tryNext(esps, 'b');
  assert.deepEqual(await asOne(), { good: 'a', trial: { slot: 'b', tries: 2 } });
  // GRUB counts on one of them.
  await writeChoice(second, { good: 'a', trial: { slot: 'b', tries: 1 } });
  assert.deepEqual((await readChoice(esps)).trial, { slot: 'b', tries: 1 });
  await withdrawSlot(esps, 'b', 'a', async () => {
    assert.deepEqual(await asOne(), { good: 'a', trial: undefined });
    assert.deepEqual(await startableSlots(esps), ['a', 'b']);
  });
  assert.deepEqual(await startableSlots(esps), ['a']);
  await placeKernel(await kernelOf('b', '6.2').then((kernel) => ({ ...kernel, esp: first })));
  assert.deepEqual(await startableSlots(esps), ['a'], 'what only one of them has is not there');
  await assert.rejects(tryNext(esps, 'b'), { code: 'SLOT_NOT_STARTABLE' });
});

test('the environment block is overwritten where it lies, and kernels that are right stay as they are', async (t) => {
  const { esp, kernelOf } = await scene(t);
  await placeKernel(await kernelOf('a', '6.1'));
  await markGood(esp, 'a');
  const inodes = async (): Promise<number[]> =>
    await Promise.all(
      ['grub/grubenv', 'grub/good', 'bladeroot/a/vmlinuz', 'bladeroot/a/initrd', 'bladeroot/a/boot.cfg'].map(
        async (name) => (await stat(join(esp, name))).ino,
      ),
    );
  const before = await inodes();
  await tryNext(esp, 'a');
  await markGood(esp, 'a');
  await placeKernel(await kernelOf('a', '6.1'));
  assert.deepEqual(await inodes(), before);
});

test('a block that is damaged or gone: what was good last is known from the other one, and both are made anew', async (t) => {
  const { esp, kernelOf } = await scene(t);
  await placeKernel(await kernelOf('b', '6.1'));
  await markGood(esp, 'b');
  for (const damage of [Buffer.alloc(1024), Buffer.from('short'), undefined]) {
    const path = join(esp, 'grub/grubenv');
    if (damage === undefined) await rm(path);
    else await writeFile(path, damage);
    assert.deepEqual(await readChoice(esp), { good: 'b', trial: undefined });
    await tryNext(esp, 'b');
    assert.deepEqual(await readChoice(esp), { good: 'b', trial: { slot: 'b', tries: 2 } });
    await markGood(esp, 'b');
  }
});

test('a damaged blob is not started: the slot has no boot.cfg then', async (t) => {
  const { esp, kernelOf } = await scene(t);
  await placeKernel(await kernelOf('a', '6.1'));
  const next = await kernelOf('a', '6.2');
  await writeFile(next.store.blobPath(next.release.initrd.digest), 'initrd 6.X');
  await assert.rejects(placeKernel(next), { code: 'BLOB_DAMAGED' });
  assert.deepEqual(await startableSlots(esp), []);
});
