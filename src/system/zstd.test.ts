import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { runForBytes } from './run.ts';
import { ZstdCompressor, ZstdDecompressor } from './zstd.ts';

test('what is compressed is what the zstd program and zlib make of it, one after the other, with prefix and without', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-test-'));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  const compressor = new ZstdCompressor();
  t.after(() => compressor.close());
  const prefix = randomBytes(300_000);
  const content = Buffer.concat([
    prefix.subarray(1000, 200_000),
    Buffer.from('new'),
    prefix.subarray(0, 50_000),
  ]);
  const [base, frame] = [join(directory, 'base'), join(directory, 'frame')];
  await writeFile(base, prefix);
  for (let round = 0; round < 2; round++) {
    const alone = compressor.compress(content, { level: 3 });
    assert.deepEqual(zstdDecompressSync(alone), content);
    const patch = compressor.compress(content, { level: 3, windowLog: 20 }, prefix);
    assert.ok(patch.length < content.length / 100, `${patch.length} bytes`);
    assert.equal(patch.buffer.byteLength, patch.length);
    await writeFile(frame, patch);
    const restored = await runForBytes('zstd', ['-q', '-d', '-c', `--patch-from=${base}`, frame]);
    assert.deepEqual(restored, content);
  }
});

test('never more is decompressed than the limit; damage is an error, and the next frame comes as if nothing had been', () => {
  const decompressor = new ZstdDecompressor();
  const content = Buffer.alloc(100_000, 'content');
  const frame = zstdCompressSync(content);
  const damaged = Buffer.from(frame);
  damaged[0] = 0;
  for (let round = 0; round < 2; round++) {
    assert.deepEqual(Buffer.from(decompressor.decompress(frame, content.length)), content);
    assert.throws(() => decompressor.decompress(frame, content.length - 1), /^Error: zstd: /);
    assert.throws(() => decompressor.decompress(damaged, content.length), /^Error: zstd: /);
    assert.throws(() => decompressor.decompress(frame.subarray(0, -1), content.length), /^Error: zstd: /);
  }
  decompressor.close();
});
