import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { NO_CHOICE, nextStart, proven, trying, type BootChoice } from './grub/choice.ts';
import type { BladeState, Slot } from './state.ts';
import { planUpdate } from './update-plan.ts';

const installed = '2026-01-02T03:04:05.000Z';

const slot = fc.option(
  fc.record({
    release: fc.integer({ min: 1, max: 4 }),
    installed: fc.constant(installed),
    good: fc.boolean(),
  }),
  { nil: undefined },
);
const slots = fc.constantFrom<Slot>('a', 'b');
const choice: fc.Arbitrary<BootChoice> = fc.oneof(
  fc.constant(NO_CHOICE),
  fc.record({
    good: slots,
    trial: fc.option(fc.record({ slot: slots, tries: fc.nat(2) }), { nil: undefined }),
  }),
);
const facts = fc.record({
  state: fc.record({ a: slot, b: slot }).map(({ a, b }): Pick<BladeState, 'slots'> => ({
    slots: { ...(a && { a }), ...(b && { b }) },
  })),
  running: slots,
  release: fc.integer({ min: 1, max: 4 }),
  deploy: fc.boolean(),
  choice,
  there: fc.subarray<Slot>(['a', 'b']),
});

test('the running slot is never written, and the other only when the running one has proved good', () => {
  fc.assert(
    fc.property(facts, (each) => {
      const plan = planUpdate(each);
      if (plan.action !== 'prepare') return;
      assert.notEqual(plan.slot, each.running);
      assert.equal(each.state.slots[each.running]?.good, true);
    }),
  );
});

test('a release that a slot holds is not prepared again, unless somebody wants that, and is what starts next', () => {
  fc.assert(
    fc.property(facts, (each) => {
      const { state, release, running, there } = each;
      const holding = there.filter((one) => state.slots[one]?.release === release);
      const runs = state.slots[running]?.release === release;
      const isGood = state.slots[running]?.good === true;
      const plan = planUpdate(each);
      if (each.deploy || (holding.length === 0 && !runs)) {
        assert.equal(plan.action, isGood ? 'prepare' : 'wait');
      } else if (isGood && holding.length > 0) {
        assert.ok(plan.action === 'nothing' || plan.action === 'switch', plan.action);
        const left = plan.action === 'switch' ? plan.choice : each.choice;
        assert.equal(state.slots[nextStart(left, there).slot ?? running]?.release, release);
        // Once done, it is done.
        assert.equal(planUpdate({ ...each, choice: left }).action, 'nothing');
      } else {
        assert.ok(plan.action === 'nothing' || plan.action === 'wait', plan.action);
      }
    }),
  );
});

test('a pin to what the other slot holds takes one restart, and so does the way back', () => {
  const two = { release: 2, installed, good: true };
  const state = { slots: { a: two, b: { release: 3, installed, good: true } } };
  const there: Slot[] = ['a', 'b'];
  const plan = (running: Slot, release: number, at: BootChoice) =>
    planUpdate({ state, running, release, deploy: false, choice: at, there });
  const back = { action: 'switch', slot: 'a', choice: proven('a') };
  assert.deepEqual(plan('b', 2, proven('b')), back);
  assert.deepEqual(plan('b', 3, proven('a')), { action: 'switch', slot: 'b', choice: proven('b') });
  const untried = { slots: { ...state.slots, a: { ...two, good: false } } };
  const attempt = planUpdate({
    state: untried,
    running: 'b',
    release: 2,
    deploy: false,
    choice: proven('b'),
    there,
  });
  assert.deepEqual(attempt, { action: 'switch', slot: 'a', choice: trying(proven('b'), 'a') });
  // Deployed again: the other slot has the same release, and its trial is not called off.
  const twice = { slots: { a: { ...two, release: 3, good: false }, b: state.slots.b } };
  const reinstalled = { state: twice, running: 'b', release: 3, deploy: false, there } as const;
  assert.equal(planUpdate({ ...reinstalled, choice: trying(proven('b'), 'a') }).action, 'nothing');
  // Somebody has taken it back by hand: that is not undone.
  const bad = [{ release: 3, reason: 'rolled back by hand', at: installed }];
  const left = planUpdate({
    state: { ...state, bad },
    running: 'b',
    release: 3,
    deploy: false,
    choice: proven('a'),
    there,
  });
  assert.equal(left.action, 'nothing');
});

test('a release that was bad here is not prepared again by itself', () => {
  const state = {
    slots: { a: { release: 1, installed, good: true } },
    bad: [{ release: 2, reason: 'nginx failed', at: installed }],
  };
  const plan = (release: number, deploy: boolean) =>
    planUpdate({ state, running: 'a', release, deploy, choice: proven('a'), there: ['a'] });
  const left = plan(2, false);
  assert.ok(left.action === 'nothing');
  assert.match(left.why, /^release 2 was bad here: nginx failed; `bladeroot blade reinstall --local`/);
  assert.deepEqual(plan(2, true), { action: 'prepare', slot: 'b' });
  assert.deepEqual(plan(3, false), { action: 'prepare', slot: 'b' });
});
