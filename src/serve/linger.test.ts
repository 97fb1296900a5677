import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Linger } from './linger.ts';

const near = fc.double({ min: 0, max: 0.08, noNaN: true });
const far = fc.double({ min: 0.2, max: 10_000, noNaN: true });

test('nobody is waited for awake who has not answered quickly, several times', () => {
  const linger = new Linger();
  assert.equal(linger.milliseconds, 0);
  linger.answered(0.02);
  assert.equal(linger.milliseconds, 0);
});

test('a client that is near is waited for awake, never longer than 0.1 ms', () => {
  fc.assert(
    fc.property(fc.array(near, { minLength: 40 }), (answers) => {
      const linger = new Linger();
      for (const answer of answers) linger.answered(answer);
      assert.equal(linger.milliseconds, 0.1);
    }),
  );
});

test('one that is further away is let be after some ten answers, whatever was before', () => {
  fc.assert(
    fc.property(fc.array(near), fc.array(far, { minLength: 12 }), (before, answers) => {
      const linger = new Linger();
      for (const answer of [...before, ...answers]) linger.answered(answer);
      assert.equal(linger.milliseconds, 0);
    }),
  );
});
