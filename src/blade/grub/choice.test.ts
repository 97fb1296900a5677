import assert from 'node:assert/strict';
import { test } from 'node:test';
import { both, choiceOf, nextStart, NO_CHOICE, proven, trying, variablesOf, withdrawn } from './choice.ts';

test('a slot on trial is started twice, then the last good one, for good', () => {
  let choice = trying(proven('a'), 'b');
  const starts = [1, 2, 3, 4].map(() => {
    const { slot, isTrial, after } = nextStart(choice, ['a', 'b']);
    choice = choiceOf(variablesOf(after));
    return `${slot} ${isTrial} ${after.trial?.tries}`;
  });
  assert.deepEqual(starts, ['b true 1', 'b true 0', 'a false 0', 'a false 0']);
});

test('what is not there is not started; without a good slot any that is there; without any none', () => {
  assert.equal(nextStart(trying(proven('a'), 'b'), ['a']).slot, 'a');
  assert.equal(nextStart(proven('a'), ['b']).slot, 'b');
  assert.equal(nextStart(NO_CHOICE, ['b']).slot, 'b');
  assert.equal(nextStart(NO_CHOICE, []).slot, undefined);
});

test('nothing starts a slot that is withdrawn', () => {
  assert.deepEqual(withdrawn(trying(proven('a'), 'b'), 'b'), proven('a'));
  assert.deepEqual(withdrawn(trying(proven('a'), 'b'), 'a'), trying(NO_CHOICE, 'b'));
});

test('of two ESPs the fewer tries count, and one that says nothing does not', () => {
  const used = { good: 'a', trial: { slot: 'b', tries: 1 } } as const;
  assert.deepEqual(both(trying(proven('a'), 'b'), used), used);
  assert.deepEqual(both(used, trying(proven('a'), 'b')), used);
  assert.deepEqual(both(NO_CHOICE, used), used);
  assert.deepEqual(both(proven('a'), NO_CHOICE), proven('a'));
  assert.deepEqual(both(proven('b'), used), proven('b'));
});

test('variables that make no sense are none', () => {
  assert.deepEqual(choiceOf({}), NO_CHOICE);
  assert.deepEqual(choiceOf({ good: 'c', try: 'x', tries: '2' }), NO_CHOICE);
  assert.deepEqual(choiceOf({ good: 'a', try: 'b', tries: '-1' }).trial, { slot: 'b', tries: 0 });
});
