import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mirrorState } from './state.ts';

const HALVES = ['/dev/sda3', '/dev/sdb3'];

test('a mirror is whole, is being made whole, or lacks a half, and says why', () => {
  assert.deepEqual(mirrorState({ degraded: 0, syncAction: 'check', halves: HALVES, failed: [] }), {
    state: 'whole',
    message: 'the mirror is whole, on /dev/sda3 and /dev/sdb3',
  });
  const rebuilding = mirrorState({ degraded: 1, syncAction: 'recover', halves: HALVES, failed: [] });
  assert.equal(rebuilding.state, 'rebuilding');
  const facts = { degraded: 1, syncAction: 'idle', halves: ['/dev/sdb3'], failed: ['/dev/sda3'] };
  assert.deepEqual(mirrorState(facts, 'there is no other disk'), {
    state: 'degraded',
    message:
      'the mirror lacks a half, all is on /dev/sdb3 alone; the kernel has given up /dev/sda3; there is no other disk',
  });
});
