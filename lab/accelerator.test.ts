import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bootFault, knownAccelerator } from './accelerator.ts';

test('the probe itself is sound: its guest runs and ends as expected under plain emulation', async () => {
  assert.equal(await bootFault('tcg'), undefined);
});

test('the probe can be aborted', async () => {
  await assert.rejects(bootFault('tcg', AbortSignal.abort(new Error('enough'))));
});

test('the accelerator is found out once for each boot of this computer', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-accelerator-'));
  t.after(async () => await rm(directory, { recursive: true }));
  const file = join(directory, 'accelerator.json');
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const known = { kind: 'kvm', reason: 'somebody looked' };
  await writeFile(file, JSON.stringify({ bootId, accelerator: known }));
  assert.deepEqual(await knownAccelerator(file), known);
});
