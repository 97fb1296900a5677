import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BufferPool } from './buffer-pool.ts';

test('a buffer that was given back is used again, for its own size only', () => {
  const pool = new BufferPool();
  const buffer = pool.take(1000);
  pool.giveBack(buffer);
  assert.notEqual(pool.take(2000), buffer);
  assert.equal(pool.take(1000), buffer);
  assert.notEqual(pool.take(1000), buffer);
});

test('no more than 16 MiB of free buffers are kept', () => {
  const pool = new BufferPool();
  const size = 1024 * 1024;
  const taken = Array.from({ length: 100 }, () => pool.take(size));
  for (const buffer of taken) pool.giveBack(buffer);
  const again = Array.from({ length: 100 }, () => pool.take(size));
  assert.equal(again.filter((buffer) => taken.includes(buffer)).length, 16);
});
