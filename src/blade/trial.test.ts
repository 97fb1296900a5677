import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { nextStart, NO_CHOICE, proven, trying, withdrawn, type BootChoice } from './grub/choice.ts';
import { freeSlot, type BladeState, type Slot } from './state.ts';
import {
  afterFailure,
  agentStart,
  badRelease,
  choiceOfGood,
  condemned,
  failedTrial,
  forgiven,
  goodSlot,
  newestBad,
  otherSlot,
} from './trial.ts';
import { planUpdate } from './update-plan.ts';

const at = '2026-01-02T03:04:05.000Z';

type Installed = NonNullable<BladeState['slots'][Slot]>;

/** What a release does to its blade. */
type Fate = 'good' | 'unhealthy' | 'hangs';

/** The steps of an operation, each of which is on the disk before the next begins: the power can fail between any two. */
type Steps = Generator<void, void>;

/** A blade as its disk has it, and what runs on it: all decisions are the program's own. */
class Blade {
  choice: BootChoice = NO_CHOICE;
  /** The slots that GRUB can start. */
  there = new Set<Slot>();
  /** The release that a slot holds; undefined while it is being written, or was never. */
  content: Partial<Record<Slot, number | undefined>> = {};
  state: BladeState = { name: 'web01', roots: [], slots: {} };
  running: Slot | undefined;
  readonly #fates: readonly Fate[];
  #time = Date.parse(at);

  constructor(fates: readonly Fate[]) {
    this.#fates = fates;
  }

  fate(release: number): Fate {
    return release === 1 ? 'good' : (this.#fates[release - 2] ?? 'good');
  }

  /** From the network, as agent/install.ts. */
  *agent(release: number): Steps {
    this.running = undefined;
    const start = agentStart(this.state, release, at);
    if (start === undefined) {
      const slot = freeSlot(this.state);
      yield* this.#write(slot, { release, installed: this.#now(), good: false, starts: 1 });
      return yield* this.#run(slot);
    }
    this.state = start.state;
    yield;
    yield* this.#run(start.slot);
  }

  /** In the background, as blade/update.ts. */
  *update(release: number): Steps {
    const { running, state } = this;
    if (running === undefined) return;
    const there = [...this.there];
    const plan = planUpdate({ state, running, release, deploy: false, choice: this.choice, there });
    if (plan.action === 'switch') this.choice = plan.choice;
    if (plan.action !== 'prepare') return;
    const { slot } = plan;
    yield* this.#write(slot, { release, installed: this.#now(), good: false });
    this.there.add(slot);
    yield;
    this.choice = trying(this.choice, slot);
  }

  *restart(): Steps {
    this.running = undefined;
    const { slot, after } = nextStart(this.choice, [...this.there]);
    this.choice = after;
    yield;
    assert.ok(slot !== undefined || this.there.size === 0);
    if (slot !== undefined) yield* this.#run(slot);
  }

  *#write(slot: Slot, installed: Installed): Steps {
    assert.ok(
      this.state.slots[slot]?.good !== true || this.#isGood(otherSlot(slot)),
      'the last good slot is written',
    );
    const { good = goodSlot(this.state, slot), trial } = withdrawn(this.choice, slot);
    this.choice = { good, trial };
    yield;
    const { [slot]: _gone, ...slots } = this.state.slots;
    this.state = { ...this.state, slots };
    yield;
    this.there.delete(slot);
    yield;
    this.content[slot] = undefined;
    yield;
    this.content[slot] = installed.release;
    yield;
    this.#record(slot, installed);
    yield;
  }

  /** As blade/standby.ts and blade/prove-slot.ts. */
  *#run(slot: Slot): Steps {
    const release = this.content[slot];
    assert.ok(release !== undefined, `slot ${slot} is started, and is not whole`);
    if (this.fate(release) === 'hangs') return yield* this.restart();
    this.running = slot;
    this.there.add(slot);
    yield;
    const failed = failedTrial({ state: this.state, choice: this.choice, slot });
    if (failed !== undefined)
      this.state = condemned(this.state, { release: failed, reason: 'did not come up', at });
    yield;
    const installed = this.state.slots[slot];
    assert.ok(installed !== undefined);
    if (installed.good) {
      this.choice = choiceOfGood({ state: this.state, choice: this.choice, there: [...this.there], slot });
      return;
    }
    if (this.fate(release) === 'good') {
      this.choice = proven(slot);
      yield;
      this.#record(slot, { ...installed, good: true });
      return;
    }
    const next = afterFailure({ state: this.state, choice: this.choice, there: [...this.there], slot });
    if (next.kind === 'stay') return;
    if (next.kind === 'give-up') this.state = condemned(this.state, { release, reason: 'nginx failed', at });
    yield;
    this.choice = next.choice;
    yield;
    yield* this.restart();
  }

  #record(slot: Slot, installed: Installed): void {
    this.state = { ...this.state, slots: { ...this.state.slots, [slot]: installed } };
  }

  #now(): string {
    this.#time += 60_000;
    return new Date(this.#time).toISOString();
  }

  #isGood(slot: Slot): boolean {
    const release = this.content[slot];
    return release !== undefined && this.fate(release) === 'good';
  }
}

/** Carries an operation out, but for what would come after the power has failed. @returns whether it came to its end */
function carryOut(steps: Steps, cutAfter: number): boolean {
  for (let step = 0; step < cutAfter; step++) if (steps.next().done === true) return true;
  return steps.next().done === true;
}

/** More than any operation has: an endless loop of restarts is seen by it. */
const NEVER = 200;

const operations = fc.array(
  fc.record({
    kind: fc.constantFrom('agent', 'update', 'restart'),
    release: fc.integer({ min: 2, max: 6 }),
    cut: fc.oneof(fc.constant(NEVER), fc.nat(25)),
  }),
  { maxLength: 12 },
);

test('after every sequence of installs, updates, restarts and power cuts, the blade comes up by itself with a good slot', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom<Fate>('good', 'unhealthy', 'hangs'), { minLength: 5, maxLength: 5 }),
      operations,
      (fates, list) => {
        const blade = new Blade(fates);
        assert.ok(carryOut(blade.agent(1), NEVER));
        for (const { kind, release, cut } of list) {
          carryOut(kind === 'restart' ? blade.restart() : blade[kind](release), cut);
          if (cut !== NEVER) assert.ok(carryOut(blade.restart(), NEVER), 'restarts come to an end');
          if (blade.running === undefined) assert.ok(carryOut(blade.restart(), NEVER));
          const { running = assert.fail('nothing runs') } = blade;
          assert.equal(blade.fate(blade.content[running] ?? 0), 'good');
          assert.equal(blade.state.slots[running]?.good, true);
        }
      },
    ),
    { numRuns: 3000 },
  );
});

test('a slot whose writing was cut off before it began is not taken for a good one', () => {
  // Found by the property above, when GRUB's files were removed before the slot was forgotten.
  for (let cut = 0; cut < 8; cut++) {
    const blade = new Blade(['good', 'good', 'good', 'hangs']);
    for (const release of [1, 3, 2]) carryOut(blade.agent(release), NEVER);
    carryOut(blade.update(4), cut);
    carryOut(blade.restart(), NEVER);
    carryOut(blade.agent(5), NEVER);
    assert.notEqual(blade.running, undefined);
  }
});

test('a release that was installed as the power failed, before GRUB knew, is tried all the same', () => {
  const blade = new Blade([]);
  carryOut(blade.agent(1), NEVER);
  // All but the last step, in which GRUB is told.
  const steps = blade.update(2);
  while (blade.state.slots.b === undefined || !blade.there.has('b')) steps.next();
  assert.deepEqual(blade.choice, proven('a'));
  carryOut(blade.restart(), NEVER);
  assert.deepEqual(blade.choice, trying(proven('a'), 'b'));
  carryOut(blade.restart(), NEVER);
  assert.equal(blade.running, 'b');
});

test('a bad release is tried twice, and then not by itself again until it is forgiven', () => {
  const blade = new Blade(['unhealthy']);
  carryOut(blade.agent(1), NEVER);
  carryOut(blade.update(2), NEVER);
  assert.deepEqual(blade.choice, { good: 'a', trial: { slot: 'b', tries: 2 } });
  carryOut(blade.restart(), NEVER);
  assert.equal(blade.running, 'a');
  assert.deepEqual(blade.choice, proven('a'));
  assert.deepEqual(newestBad(blade.state, 1), { release: 2, reason: 'nginx failed', at });
  const { state } = blade;
  carryOut(blade.agent(2), NEVER);
  assert.equal(blade.running, 'a');
  assert.deepEqual(blade.state, state);
  assert.equal(forgiven(state, 2).bad, undefined);
});

test('a release that was rolled back by hand is not what an agent starts, whichever slot has it', () => {
  for (const left of ['a', 'b'] as const) {
    const own = { release: 2, installed: at, good: true };
    const other = { release: 1, installed: at, good: true };
    const slots = left === 'a' ? { a: own, b: other } : { a: other, b: own };
    const state = condemned(
      { name: 'web01', roots: [], slots },
      { release: 2, reason: 'rolled back by hand', at },
    );
    assert.equal(agentStart(state, 2, at)?.slot, otherSlot(left));
  }
});

test('a release that never gets up is tried twice by GRUB alone, and the blade that is back knows it', () => {
  const blade = new Blade(['hangs']);
  carryOut(blade.agent(1), NEVER);
  carryOut(blade.update(2), NEVER);
  carryOut(blade.restart(), NEVER);
  assert.equal(blade.running, 'a');
  assert.equal(badRelease(blade.state, 2)?.reason, 'did not come up');
});

test('a blade without another good slot stays in the one that it has', () => {
  const state: BladeState = {
    name: 'web01',
    roots: [],
    slots: { a: { release: 1, installed: at, good: false } },
  };
  assert.deepEqual(afterFailure({ state, choice: NO_CHOICE, there: ['a'], slot: 'a' }), { kind: 'stay' });
});
