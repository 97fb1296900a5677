import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { nextStart, type BootChoice } from './grub/choice.ts';
import { markGood, readChoice, startableSlots, tryNext, writeChoice } from './grub/esp.ts';
import { DEFAULT_HEALTH } from './health.ts';
import { proveSlot, type Proof } from './prove-slot.ts';
import { readBladeState, writeBladeState, type BladeState, type Slot } from './state.ts';

const installed = '2026-01-02T03:04:05.000Z';
const later = '2026-01-03T03:04:05.000Z';

/** A blade with its state and its ESP, whose services fail or not as a test has it. */
class Blade {
  readonly stateDirectory: string;
  readonly esp: string;
  failed: string[] = [];
  restarts = 0;
  told: string[] = [];

  constructor(directory: string) {
    this.stateDirectory = join(directory, 'state');
    this.esp = join(directory, 'esp');
  }

  static async create(t: TestContext, slots: BladeState['slots'], good?: Slot): Promise<Blade> {
    const directory = await mkdtemp(join(tmpdir(), 'bladeroot-prove-'));
    t.after(async () => await rm(directory, { recursive: true, force: true }));
    const blade = new Blade(directory);
    await writeBladeState(blade.stateDirectory, { name: 'web01', roots: [], slots });
    for (const slot of Object.keys(slots)) {
      await mkdir(join(blade.esp, 'bladeroot', slot), { recursive: true });
      await writeFile(join(blade.esp, 'bladeroot', slot, 'boot.cfg'), 'linux …\n');
    }
    if (good !== undefined) await markGood(blade.esp, good);
    return blade;
  }

  /** Starts as GRUB does, and is up, or goes down again. */
  async start(t: TestContext): Promise<{ slot: Slot; proof: Proof }> {
    const { slot = assert.fail('nothing to start'), after } = nextStart(
      await readChoice(this.esp),
      await startableSlots(this.esp),
    );
    await writeChoice(this.esp, after);
    return { slot, proof: await this.prove(t, slot) };
  }

  async prove(t: TestContext, slot: Slot): Promise<Proof> {
    return await proveSlot({
      stateDirectory: this.stateDirectory,
      esp: this.esp,
      slot,
      health: { ...DEFAULT_HEALTH, timeout: 0.03, period: 0.01 },
      services: { settled: async () => {}, failed: async () => this.failed, isRunning: async () => true },
      signal: t.signal,
      report: async (step, state, message) => void this.told.push(`${step} ${state}: ${message}`),
      restart: async () => void this.restarts++,
    });
  }

  async state(): Promise<BladeState> {
    return (await readBladeState(this.stateDirectory)) ?? assert.fail();
  }

  async choice(): Promise<BootChoice> {
    return await readChoice(this.esp);
  }
}

const TWO: BladeState['slots'] = {
  a: { release: 1, installed, good: true },
  b: { release: 2, installed: later, good: false },
};

test('a slot on trial that is healthy is good: for GRUB, and in blade.json', async (t) => {
  const blade = await Blade.create(t, TWO, 'a');
  await tryNext(blade.esp, 'b');
  const { slot, proof } = await blade.start(t);
  assert.deepEqual([slot, proof.kind], ['b', 'up']);
  assert.deepEqual(await blade.choice(), { good: 'b', trial: undefined });
  assert.equal((await blade.state()).slots.b?.good, true);
  assert.deepEqual(blade.told, ['health started: slot b has to prove good', 'health done: slot b is good']);
});

test('one that is not is started twice; then the last good one runs, and tells which release was bad and why', async (t) => {
  const blade = await Blade.create(t, TWO, 'a');
  await tryNext(blade.esp, 'b');
  blade.failed = ['nginx.service'];
  for (const expected of ['trying it once more', 'going back to slot a']) {
    const { slot, proof } = await blade.start(t);
    assert.deepEqual([slot, proof.kind], ['b', 'restarting']);
    const why = `release 2 is not healthy: services: nginx.service failed; ${expected}`;
    assert.equal(blade.told.at(-1), `health failed: ${why}`);
  }
  assert.equal(blade.restarts, 2);
  const { slot, proof } = await blade.start(t);
  assert.ok(slot === 'a' && proof.kind === 'up');
  assert.equal(proof.state.bad?.[0]?.release, 2);
  assert.equal(proof.state.bad[0].reason, 'services: nginx.service failed');
  assert.deepEqual(await blade.choice(), { good: 'a', trial: undefined });
  assert.equal((await blade.start(t)).slot, 'a', 'and it stays there');
});

test('one that never comes up: the last good one finds out from what GRUB has counted', async (t) => {
  const blade = await Blade.create(t, TWO, 'a');
  await writeChoice(blade.esp, { good: 'a', trial: { slot: 'b', tries: 0 } });
  const { slot, proof } = await blade.start(t);
  assert.ok(slot === 'a' && proof.kind === 'up');
  assert.match(proof.state.bad?.[0]?.reason ?? '', /started twice and did not come up/);
  assert.deepEqual(await blade.choice(), { good: 'a', trial: undefined });
});

test('at its first deployment, with nothing to fall back to, a blade stays up, and is good once it is healthy', async (t) => {
  const blade = await Blade.create(t, { a: { release: 1, installed, good: false, starts: 1 } });
  blade.failed = ['nginx.service'];
  const proof = await blade.prove(t, 'a');
  assert.ok(proof.kind === 'up');
  assert.equal(proof.wrong, 'services: nginx.service failed');
  assert.match(blade.told.at(-1) ?? '', /there is no other good slot to fall back to$/);
  assert.equal(blade.restarts, 0);
  blade.failed = [];
  await proof.later;
  assert.equal((await blade.state()).slots.a?.good, true);
  assert.deepEqual(await blade.choice(), { good: 'a', trial: undefined });
});
