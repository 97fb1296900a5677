import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import {
  decompressFrame,
  FrameCompressor,
  FrameDecompressor,
  MAX_FRAME_BYTES,
  MAX_OBJECT_SIZE,
} from './frame.ts';

const MIB = 1024 * 1024;
const compressor = new FrameCompressor();
const decompressor = new FrameDecompressor();
after(() => {
  compressor.close();
  decompressor.close();
});

test('frames come back, alone and as patches, whatever is in them', async () => {
  const content = fc.uint8Array({ minLength: 1, maxLength: 5000 });
  await fc.assert(
    fc.asyncProperty(content, fc.uint8Array({ maxLength: 5000 }), async (bytes, bases) => {
      const alone = compressor.compress(bytes);
      assert.deepEqual(Buffer.from(decompressor.decompress(alone, bytes.length)), Buffer.from(bytes));
      assert.deepEqual(await decompressFrame(alone, bytes.length), Buffer.from(bytes));
      const patch = compressor.patch(bytes, bases);
      if (patch === undefined) return;
      assert.deepEqual(Buffer.from(decompressor.decompress(patch, bytes.length, bases)), Buffer.from(bytes));
      assert.deepEqual(await decompressFrame(patch, bytes.length, bases), Buffer.from(bytes));
    }),
    { numRuns: 60 },
  );
});

test('what cannot be compressed grows by so little that an index may say it', () => {
  assert.ok(compressor.compress(randomBytes(MAX_OBJECT_SIZE)).length <= MAX_FRAME_BYTES);
});

test('a frame that holds another length than it should is refused, before more than that is made of it', async () => {
  const content = randomBytes(1000);
  // 64 KiB that would become 2 GiB, in one frame, and in many.
  const one = zstdCompressSync(Buffer.alloc(256 * MIB));
  const many = Buffer.concat(Array.from({ length: 8 }, () => one));
  for (const [frame, size] of [
    [compressor.compress(content), 999],
    [compressor.compress(content), 1001],
    [compressor.compress(content), MAX_OBJECT_SIZE],
    [one, 1000],
    [many, 8 * MIB],
  ] as const) {
    const begun = performance.now();
    const before = process.memoryUsage().arrayBuffers;
    assert.throws(() => decompressor.decompress(frame, size));
    await assert.rejects(decompressFrame(frame, size));
    const grown = process.memoryUsage().arrayBuffers - before;
    assert.ok(grown < 4 * MAX_OBJECT_SIZE, `${grown} bytes`);
    assert.ok(performance.now() - begun < 4000);
  }
});

test('any bytes, and any damage to a frame, give an error or the length that was asked for', () => {
  const good = compressor.compress(Buffer.concat([randomBytes(3000), Buffer.alloc(3000, 'x')]));
  const damaged = fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, flip]) => {
    const copy = Buffer.from(good);
    copy[at] = (copy[at] ?? 0) ^ flip;
    return copy;
  });
  const cutOff = fc.nat(good.length).map((length) => good.subarray(0, length));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), damaged, cutOff), (frame) => {
      let content: Uint8Array | undefined;
      try {
        content = decompressor.decompress(frame, 6000);
      } catch (error) {
        assert.ok(error instanceof Error);
      }
      assert.ok(content === undefined || content.length === 6000);
    }),
    { numRuns: 500 },
  );
});
