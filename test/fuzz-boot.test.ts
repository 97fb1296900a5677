import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzBoot } from './fuzz-boot.ts';

test('200,000 random and mutated packets: nothing throws but what is declared, and every answer is a packet', () => {
  const seed = Date.now() % 2 ** 31;
  const { read } = fuzzBoot({ seed, from: 0, count: 200_000 });
  // Most get past the first checks, or the run would say nothing.
  assert.ok(read.dhcp > 30_000 && read.answers > 10_000 && read.tftp > 30_000, JSON.stringify(read));
});

test('packets beyond one frame pass as well, as fragments bring them, and none takes long', () => {
  const seed = Date.now() % 2 ** 31;
  const { read } = fuzzBoot({ seed, from: 0, count: 30_000, longest: 65_507 });
  assert.ok(read.dhcp > 3000 && read.answers > 1000 && read.tftp > 3000, JSON.stringify(read));
});

test('a packet is the same whenever its seed and number are', () => {
  const once = fuzzBoot({ seed: 7, from: 100, count: 500 });
  const again = fuzzBoot({ seed: 7, from: 100, count: 500 });
  assert.deepEqual(once.read, again.read);
});
