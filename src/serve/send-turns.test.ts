import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { SendTurns } from './send-turns.ts';

/** Waits in a queue for a hundred, and tells who has had a turn. */
function crowd(turns: SendTurns): number[] {
  const served: number[] = [];
  for (let who = 0; who < 100; who++) void turns.next().then(() => served.push(who));
  return served;
}

test('a turn of the event loop serves a few of many, in the order in which they came', async () => {
  const served = crowd(new SendTurns());
  await turn();
  await turn();
  assert.ok(served.length > 0 && served.length < 50, `${served.length} in one turn`);
  while (served.length < 100) await turn();
  assert.deepEqual(
    served,
    Array.from({ length: 100 }, (_, who) => who),
  );
});

test('HTTP-23: nobody is sent to while newcomers keep coming, up to half a second', async () => {
  const turns = new SendTurns();
  const begun = performance.now();
  const served = crowd(turns);
  let newcomers = 0;
  while (served.length === 0) {
    newcomers++;
    void turns.arrive({});
    await turn();
  }
  const held = performance.now() - begun;
  assert.ok(newcomers > 10, `${newcomers} came in`);
  assert.ok(held >= 500, `held back for ${held} ms`);
});

test('who asks again on the same connection is no newcomer', async () => {
  const turns = new SendTurns();
  const connection = {};
  await turns.arrive(connection);
  const served = crowd(turns);
  // The one turn in which it was new.
  await turn();
  for (let asked = 0; asked < 3; asked++) {
    await turns.arrive(connection);
    await turn();
  }
  assert.ok(served.length > 0);
});

test('where nobody waits, the first to come is served at once', async () => {
  const turns = new SendTurns();
  let isIn = false;
  void turns.arrive({}).then(() => (isIn = true));
  await Promise.resolve();
  assert.ok(isIn);
});
