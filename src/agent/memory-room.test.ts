import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { BladerootError } from '../errors.ts';
import { memoryRoom } from './memory-room.ts';

const MiB = 1024 ** 2;

function layers(run: { bytes: number; entries: number }): Parameters<typeof memoryRoom>[0] {
  const layer = { objects: 0, ways: [] };
  return {
    layers: [
      { name: 'run', ...run, ...layer },
      { name: 'extra', bytes: 900 * MiB, entries: 90_000, ...layer },
    ],
  };
}

test('how much is lacking is said, and what is not unpacked counts for nothing', () => {
  const image = layers({ bytes: 500 * MiB, entries: 256 * 100 });
  const room = (availableBytes: number): number =>
    memoryRoom(image, ['run'], { availableBytes, totalBytes: 1024 * MiB });
  assert.equal(room(856 * MiB), 728 * MiB);
  assert.throws(() => room(800 * MiB), {
    code: 'NOT_ENOUGH_MEMORY',
    message: /takes 600 MiB .* takes 256 MiB; of its 1024 MiB .* has 800 MiB to give: 56 MiB are lacking$/,
  });
  assert.throws(() => room(856 * MiB - 1), /: 1 MiB are lacking/);
});

test('the image always fits into the room, and as much is left beside it as the room may still grow', () => {
  const bytes = fc.nat(4096 * MiB);
  fc.assert(
    fc.property(bytes, fc.nat(200_000), bytes, (size, entries, availableBytes) => {
      const needed = size + entries * 4096;
      try {
        const room = memoryRoom(layers({ bytes: size, entries }), ['run'], { availableBytes, totalBytes: 0 });
        assert.ok(room >= needed + 128 * MiB && room <= availableBytes - 128 * MiB);
        assert.ok(Math.abs(room - needed - (availableBytes - room)) <= 1);
      } catch (error) {
        assert.ok(error instanceof BladerootError && error.code === 'NOT_ENOUGH_MEMORY', String(error));
        assert.ok(availableBytes < needed + 256 * MiB);
      }
    }),
  );
});
