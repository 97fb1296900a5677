import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { test } from 'node:test';
import { answerDoorbell, makeDoorbell, Poller, ring } from './poller.ts';

test('a doorbell that has been rung is told of until it is answered, however often it was rung', (t) => {
  const [poller, quiet, rung] = [new Poller(), makeDoorbell(), makeDoorbell()];
  t.after(() => {
    poller.close();
    closeSync(quiet);
    closeSync(rung);
  });
  poller.add(quiet);
  poller.add(rung);
  assert.equal(poller.wait(0), 0);
  ring(rung);
  ring(rung);
  for (const ready of [poller.wait(10_000), poller.wait(0)]) {
    assert.equal(ready, 1);
    assert.equal(poller.ready(0), rung);
  }
  answerDoorbell(rung);
  assert.equal(poller.wait(0), 0);
  ring(quiet);
  ring(rung);
  assert.equal(poller.wait(10_000), 2);
  assert.deepEqual(new Set([poller.ready(0), poller.ready(1)]), new Set([quiet, rung]));
});
