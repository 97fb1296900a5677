import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { markGood, readChoice } from './grub/esp.ts';
import { rollBack } from './roll-back.ts';
import { readBladeState, writeBladeState, type BladeState } from './state.ts';
import { newestBad } from './trial.ts';

const installed = '2026-01-02T03:04:05.000Z';

async function blade(
  t: TestContext,
  slots: BladeState['slots'],
): Promise<{ stateDirectory: string; esp: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-rollback-'));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  const [stateDirectory, esp] = [join(directory, 'state'), join(directory, 'esp')];
  await writeBladeState(stateDirectory, { name: 'web01', roots: [], slots });
  for (const slot of Object.keys(slots)) {
    await mkdir(join(esp, 'bladeroot', slot), { recursive: true });
    await writeFile(join(esp, 'bladeroot', slot, 'boot.cfg'), 'linux …\n');
  }
  await markGood(esp, 'b');
  return { stateDirectory, esp };
}

test('the other good slot is started next, and the release that is left does not come back by itself', async (t) => {
  const { stateDirectory, esp } = await blade(t, {
    a: { release: 3, installed, good: true },
    b: { release: 4, installed, good: true },
  });
  assert.deepEqual(await rollBack(stateDirectory, 'b', esp), { slot: 'a', release: 3, left: 4 });
  assert.deepEqual(await readChoice(esp), { good: 'a', trial: undefined });
  const state = (await readBladeState(stateDirectory)) ?? assert.fail();
  assert.equal(newestBad(state, 3)?.reason, 'rolled back by hand');
  assert.deepEqual(state.slots.b, { release: 4, installed, good: true });
});

test('without another good slot nothing changes', async (t) => {
  const { stateDirectory, esp } = await blade(t, {
    a: { release: 3, installed, good: false },
    b: { release: 4, installed, good: true },
  });
  const before = await readBladeState(stateDirectory);
  await assert.rejects(rollBack(stateDirectory, 'b', esp), { code: 'NO_GOOD_SLOT' });
  await rm(join(esp, 'bladeroot/b/boot.cfg'));
  await assert.rejects(rollBack(stateDirectory, 'a', esp), { code: 'NO_GOOD_SLOT', message: /no kernel/ });
  assert.deepEqual(await readBladeState(stateDirectory), before);
  assert.equal((await readChoice(esp)).good, 'b');
});
