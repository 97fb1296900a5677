import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { BladeState } from './state.ts';
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
const facts = fc.record({
  state: fc.record({ a: slot, b: slot }).map(({ a, b }): Pick<BladeState, 'slots'> => ({
    slots: { ...(a && { a }), ...(b && { b }) },
  })),
  running: fc.constantFrom('a', 'b'),
  release: fc.integer({ min: 1, max: 4 }),
  deploy: fc.boolean(),
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

test('a release that a slot holds is not prepared again, unless somebody wants that', () => {
  fc.assert(
    fc.property(facts, (each) => {
      const { a, b } = each.state.slots;
      const holds = a?.release === each.release || b?.release === each.release;
      const isGood = each.state.slots[each.running]?.good === true;
      const { action } = planUpdate(each);
      if (holds && !each.deploy) assert.equal(action, 'nothing');
      else assert.equal(action, isGood ? 'prepare' : 'wait');
    }),
  );
});

test('a release that was bad here is not prepared again by itself', () => {
  const state = {
    slots: { a: { release: 1, installed, good: true } },
    bad: [{ release: 2, reason: 'nginx failed', at: installed }],
  };
  const plan = (release: number, deploy: boolean) => planUpdate({ state, running: 'a', release, deploy });
  assert.deepEqual(plan(2, false), { action: 'nothing', why: 'release 2 was bad here: nginx failed' });
  assert.deepEqual(plan(2, true), { action: 'prepare', slot: 'b' });
  assert.deepEqual(plan(3, false), { action: 'prepare', slot: 'b' });
});
