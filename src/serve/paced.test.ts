import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Paced } from './paced.ts';

test('a few are done at once, the others in their order and not all together', async () => {
  const paced = new Paced();
  const done: number[] = [];
  const last = Promise.withResolvers<void>();
  for (let number = 0; number < 100; number++) {
    paced.do(() => {
      done.push(number);
      if (number === 99) last.resolve();
    });
  }
  assert.equal(done.length, 32);
  await last.promise;
  assert.deepEqual(done, [...Array(100).keys()]);
});

test('after a pause there is no waiting', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const paced = new Paced();
  let done = 0;
  for (let round = 1; round <= 3; round++) {
    for (let number = 0; number < 32; number++) paced.do(() => done++);
    assert.equal(done, 32 * round);
    t.mock.timers.tick(1);
  }
});

test('what waits when it is stopped is not done', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const paced = new Paced();
  let done = 0;
  for (let number = 0; number < 50; number++) paced.do(() => done++);
  paced.stop();
  t.mock.timers.tick(1000);
  assert.equal(done, 32);
});
