import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { collect } from './byte-reader.ts';
import { partOf, rangeHeader, requireAtEnd, takePart, type ByteRange } from './byte-range.ts';

const FAILED = { code: 'SOURCE_FAILED' };

async function* inChunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

test('a range is asked for by its first and its last byte, a whole file without a range', () => {
  assert.equal(rangeHeader({ start: 0, end: undefined }), undefined);
  assert.equal(rangeHeader({ start: 7, end: undefined }), 'bytes=7-');
  assert.equal(rangeHeader({ start: 0, end: 1 }), 'bytes=0-0');
  assert.equal(rangeHeader({ start: 7, end: 10 }), 'bytes=7-9');
});

test('what comes is the part that was asked for, however the server sends it and wherever its chunks end', async () => {
  const file = fc.uint8Array({ minLength: 1, maxLength: 60 });
  const server = fc.constantFrom('ranges', 'whole', 'whole without a length');
  const anyEnd = fc.option(fc.nat(70), { nil: undefined });
  await fc.assert(
    fc.asyncProperty(file, fc.nat(59), anyEnd, server, fc.integer({ min: 1, max: 61 }), async (...drawn) => {
      const [content, from, endDrawn, kind, chunkSize] = drawn;
      const bytes = Buffer.from(content);
      const start = from % bytes.length;
      const end = endDrawn === undefined ? undefined : Math.max(endDrawn, start + 1);
      const wanted = { start, end };
      const asked = rangeHeader(wanted) !== undefined;
      const expected = bytes.subarray(start, end);
      const ranged = kind === 'ranges' && asked;
      const part = ranged
        ? partOf(206, { 'content-range': rangeOf(start, expected.length, bytes.length) }, wanted, 'x')
        : partOf(200, kind === 'whole' ? { 'content-length': `${bytes.length}` } : {}, wanted, 'x');
      const body = inChunks(ranged ? expected : bytes, chunkSize);
      assert.deepEqual(await collect(takePart(body, part, 'x')), expected);
    }),
  );
});

function rangeOf(start: number, length: number, size: number): string {
  return `bytes ${start}-${start + length - 1}/${size}`;
}

const REFUSED: { what: string; wanted: ByteRange; contentRange: string | undefined }[] = [
  { what: 'another start', wanted: { start: 4, end: 8 }, contentRange: 'bytes 0-7/10' },
  { what: 'an earlier end', wanted: { start: 4, end: 8 }, contentRange: 'bytes 4-6/10' },
  { what: 'a later end', wanted: { start: 4, end: 8 }, contentRange: 'bytes 4-8/10' },
  {
    what: 'an end before the end of the file',
    wanted: { start: 4, end: undefined },
    contentRange: 'bytes 4-8/10',
  },
  {
    what: 'an early end of a file of unknown length',
    wanted: { start: 4, end: 8 },
    contentRange: 'bytes 4-6/*',
  },
  { what: 'a range that is none', wanted: { start: 4, end: 8 }, contentRange: 'bytes 4-3/10' },
  { what: 'another unit', wanted: { start: 4, end: 8 }, contentRange: 'lines 4-7/10' },
  { what: 'no range that is named', wanted: { start: 4, end: 8 }, contentRange: undefined },
  {
    what: 'a range that nobody asked for',
    wanted: { start: 0, end: undefined },
    contentRange: 'bytes 0-9/10',
  },
];

for (const { what, wanted, contentRange } of REFUSED) {
  test(`a 206 with ${what} is refused`, () => {
    const headers = contentRange === undefined ? {} : { 'content-range': contentRange };
    assert.throws(() => partOf(206, headers, wanted, 'x'), FAILED);
  });
}

test('a range may end early where the file does, and its length may be unknown', () => {
  const part = { skip: 0, length: 6, exact: true };
  assert.deepEqual(partOf(206, { 'content-range': 'bytes 4-9/10' }, { start: 4, end: 20 }, 'x'), part);
  assert.deepEqual(partOf(206, { 'content-range': 'bytes 4-9/*' }, { start: 4, end: undefined }, 'x'), part);
  assert.deepEqual(partOf(206, { 'content-range': 'bytes 4-9/*' }, { start: 4, end: 10 }, 'x'), part);
});

test('a file that ends before the range begins has failed, one that ends just there has nothing more', async () => {
  const wanted = { start: 10, end: 20 };
  requireAtEnd({ 'content-range': 'bytes */10' }, wanted, 'x');
  assert.throws(() => requireAtEnd({ 'content-range': 'bytes */9' }, wanted, 'x'), {
    ...FAILED,
    message: 'x is only 9 bytes long',
  });
  assert.throws(() => requireAtEnd({ 'content-range': 'bytes */11' }, wanted, 'x'), FAILED);
  assert.throws(() => requireAtEnd({}, wanted, 'x'), FAILED);

  assert.throws(() => partOf(200, { 'content-length': '9' }, wanted, 'x'), FAILED);
  const nine = takePart(inChunks(Buffer.alloc(9), 4), partOf(200, {}, wanted, 'x'), 'x');
  await assert.rejects(collect(nine), { ...FAILED, message: 'x ended 1 bytes too early' });
  const ten = takePart(inChunks(Buffer.alloc(10), 4), partOf(200, {}, wanted, 'x'), 'x');
  assert.equal((await collect(ten)).length, 0);
});

test('a body that is shorter or longer than its range is refused', async () => {
  const part = partOf(206, { 'content-range': 'bytes 4-7/10' }, { start: 4, end: 8 }, 'x');
  for (const length of [3, 5, 9]) {
    await assert.rejects(collect(takePart(inChunks(Buffer.alloc(length), 2), part, 'x')), FAILED);
  }
});

test('the last bytes are handed over when the body has ended, so that the connection is free by then', async () => {
  const part = partOf(206, { 'content-range': 'bytes 4-7/10' }, { start: 4, end: 8 }, 'x');
  let ended = false;
  async function* body(): AsyncGenerator<Buffer> {
    yield Buffer.from('45');
    yield Buffer.from('67');
    ended = true;
  }
  for await (const chunk of takePart(body(), part, 'x')) assert.equal(ended, chunk.toString() === '67');
});
