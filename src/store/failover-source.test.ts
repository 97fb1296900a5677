import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import { BladerootError } from '../errors.ts';
import { collect } from './byte-reader.ts';
import { FailoverSource } from './failover-source.ts';
import { HttpSource } from './http-source.ts';
import { PIECE_SIZE } from './pack-index.ts';
import type { GetOptions, Source } from './source.ts';
import { bytesListener, serveStore, type StoreServer } from './store-server.fixture.ts';

/** A source of one file, whose faults can be changed, and that knows what it was asked for. */
class Scripted implements Source {
  readonly name: string;
  readonly asked: string[] = [];
  bytes: Buffer;
  /** Fails so many bytes into the file; at 0 it does not answer at all. */
  failsAt = Infinity;
  missing = false;
  closed = false;
  /** How many of the chunks that it gave out are still being read. */
  reading = 0;

  constructor(name: string, bytes: Buffer) {
    this.name = name;
    this.bytes = bytes;
  }

  async get(path: string, { start = 0, end }: GetOptions = {}): Promise<AsyncIterable<Buffer>> {
    this.asked.push(`${path} ${start}-${end ?? ''}`);
    if (this.missing) throw new BladerootError('SOURCE_MISSING', `${this.name} has no ${path}`);
    if (start >= this.failsAt) throw new BladerootError('SOURCE_FAILED', `${this.name} does not answer`);
    if (start > this.bytes.length) throw new BladerootError('SOURCE_FAILED', `${this.name} is too short`);
    return this.#chunks(start, Math.min(end ?? Infinity, this.bytes.length));
  }

  close(): void {
    this.closed = true;
  }

  async *#chunks(start: number, stop: number): AsyncGenerator<Buffer> {
    this.reading++;
    try {
      for (let at = start; at < stop;) {
        if (at >= this.failsAt) throw new BladerootError('SOURCE_FAILED', `${this.name} broke off at ${at}`);
        const chunk = this.bytes.subarray(at, Math.min(at + 3, stop, this.failsAt));
        at += chunk.length;
        yield chunk;
      }
    } finally {
      this.reading--;
    }
  }
}

const FILE = Buffer.from('0123456789');

function three(): { a: Scripted; b: Scripted; c: Scripted; all: Scripted[] } {
  const [a, b, c] = [new Scripted('A', FILE), new Scripted('B', FILE), new Scripted('C', FILE)];
  return { a, b, c, all: [a, b, c] };
}

async function text(source: Source, options?: GetOptions): Promise<string> {
  return (await collect(await source.get('x', options))).toString();
}

/** Which of them were asked since the last time, and for what. */
function askedSince(sources: Scripted[]): string[] {
  return sources.flatMap(({ name, asked }) => asked.splice(0).map((what) => `${name} ${what}`));
}

async function httpSource(t: TestContext, { url }: StoreServer, patience?: number): Promise<HttpSource> {
  const source = new HttpSource(url, { patience });
  t.after(() => source.close());
  return source;
}

test('servers that are gone, cut the file off or fall silent are replaced at the very byte, and the file is whole', async (t) => {
  const bytes = randomBytes(3_000_000);
  const cut = await serveStore(t, (_, response) => {
    response.writeHead(200, { 'content-length': bytes.length });
    response.write(bytes.subarray(0, 1_234_567), () => response.destroy());
  });
  const silent = await serveStore(t, (request, response) => {
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1]);
    response.writeHead(206, { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` });
    response.write(bytes.subarray(start, 2_000_000));
  });
  const wrong = await serveStore(t, (_, response) => {
    response.writeHead(206, { 'content-range': `bytes 0-9/${bytes.length}` }).end('0123456789');
  });
  const sound = await serveStore(t, bytesListener(bytes));
  const source = new FailoverSource([
    new HttpSource('http://127.0.0.1:1/store'),
    await httpSource(t, cut),
    await httpSource(t, silent, 100),
    await httpSource(t, wrong),
    await httpSource(t, sound),
  ]);
  assert.ok(bytes.equals(await collect(await source.get('x'))));
  const from = cut.asked.concat(silent.asked).map((asked) => asked.replace('GET /store/x', ''));
  assert.equal(from[0], '', 'the whole file is asked for first');
  const resumed = Number(/bytes=(\d+)-$/.exec(from[1] ?? '')?.[1]);
  assert.ok(resumed > 0 && resumed <= 1_234_567, `the next goes on at ${resumed}`);
  assert.deepEqual(sound.asked, ['GET /store/x bytes=2000000-']);
});

test('as long as one source is sound, any faults of the others, anywhere, leave the bytes as they are', async () => {
  const faults = fc.array(fc.record({ failsAt: fc.nat(12), missing: fc.boolean() }), { maxLength: 4 });
  const bounds = fc.tuple(fc.nat(10), fc.option(fc.nat(12), { nil: undefined }));
  await fc.assert(
    fc.asyncProperty(faults, fc.nat(4), bounds, async (faulty, place, [start, end]) => {
      const sources = faulty.map((fault, i) => Object.assign(new Scripted(`${i}`, FILE), fault));
      sources.splice(place, 0, new Scripted('sound', FILE));
      const source = new FailoverSource(sources);
      for (let round = 0; round < 2; round++) {
        assert.equal(await text(source, { start, end }), FILE.subarray(start, end).toString());
      }
      assert.ok(sources.every(({ reading }) => reading === 0));
    }),
  );
});

test('a source that failed is asked last until it has rested; one that lacks a thing is asked first for the next', async () => {
  const { a, b, all } = three();
  let now = 5000;
  const source = new FailoverSource(all, { rest: 1000, now: () => now });
  a.missing = true;
  await text(source);
  assert.deepEqual(askedSince(all), ['A x 0-', 'B x 0-']);
  a.missing = false;
  a.failsAt = 4;
  assert.equal(await text(source, { end: 8 }), '01234567');
  assert.deepEqual(askedSince(all), ['A x 0-8', 'B x 4-8']);
  await text(source);
  assert.deepEqual(askedSince(all), ['B x 0-']);
  now += 500;
  b.failsAt = 0;
  await text(source);
  assert.deepEqual(askedSince(all), ['B x 0-', 'C x 0-']);
  now += 500;
  a.failsAt = Infinity;
  await text(source);
  assert.deepEqual(askedSince(all), ['A x 0-'], 'A has rested');
});

test('a source that came through as the last one left is asked as it is preferred again', async () => {
  const { a, b, c, all } = three();
  const source = new FailoverSource(all, { rest: 1000, now: () => 0 });
  a.failsAt = 0;
  await text(source);
  a.failsAt = Infinity;
  b.missing = true;
  c.missing = true;
  askedSince(all);
  await text(source);
  assert.deepEqual(askedSince(all), ['A x 0-', 'B x 0-', 'C x 0-']);
  await text(source);
  assert.deepEqual(askedSince(all), ['A x 0-']);
});

test('when all have failed, the error says why of each, and is "missing" only when none has such a thing', async () => {
  const { a, b, c, all } = three();
  const source = new FailoverSource(all);
  for (const each of all) each.missing = true;
  await assert.rejects(source.get('x'), {
    code: 'SOURCE_MISSING',
    message: 'no source gives x: A has no x; B has no x; C has no x',
  });
  b.missing = false;
  b.failsAt = 0;
  await assert.rejects(source.get('x'), {
    code: 'SOURCE_FAILED',
    message: /A has no x; B does not answer; C/,
  });
  a.missing = false;
  a.failsAt = 6;
  c.missing = false;
  c.failsAt = 8;
  const source2 = new FailoverSource(all);
  await assert.rejects(text(source2), {
    code: 'SOURCE_FAILED',
    message: 'no source gives x: A broke off at 6; B does not answer; C broke off at 8',
  });
});

test('a copy that ends too early is completed by another; where none has more, that is the file', async () => {
  const { a, b, c, all } = three();
  a.bytes = FILE.subarray(0, 6);
  const source = new FailoverSource(all);
  assert.equal(await text(source, { end: 9 }), '012345678');
  assert.deepEqual(askedSince(all), ['A x 0-9', 'B x 6-9']);
  b.missing = true;
  c.bytes = FILE.subarray(0, 6);
  assert.equal(await text(source, { end: 9 }), '012345');
});

test('abort ends it at once, and asks nobody else', async () => {
  const { a, b, all } = three();
  const source = new FailoverSource(all);
  const abort = new AbortController();
  const reason = new Error('enough');
  a.failsAt = 3;
  const chunks = await source.get('x', { signal: abort.signal });
  await assert.rejects(async () => {
    for await (const chunk of chunks) abort.abort(chunk.length > 0 ? reason : undefined);
  }, reason);
  assert.deepEqual(b.asked, []);
  await assert.rejects(source.get('x', { signal: abort.signal }), reason);
  assert.equal(a.asked.length, 1);
});

test('an error that is a mistake of the program is not tried elsewhere', async () => {
  const { a, b } = three();
  const mistake = new TypeError('a mistake');
  const source = new FailoverSource([
    { name: 'broken', get: async () => await Promise.reject(mistake) },
    a,
    b,
  ]);
  await assert.rejects(source.get('x'), mistake);
  assert.deepEqual(a.asked, []);
});

test('the chunks of a source are let go of when the reader leaves, and sources are closed with the whole', async () => {
  const { a, all } = three();
  const source = new FailoverSource(all);
  for await (const chunk of await source.get('x')) if (chunk.length > 0) break;
  assert.equal(a.reading, 0);
  source.close();
  assert.ok(all.every(({ closed }) => closed));
});

test('who gave damaged bytes is asked last for that path, and for that path only; until nobody is left', async () => {
  const { a, all } = three();
  const source = new FailoverSource(all);
  assert.equal(source.damaged('x'), false, 'nobody has given anything');
  await text(source);
  assert.equal(source.damaged('x'), true);
  askedSince(all);
  await text(source);
  await collect(await source.get('y'));
  assert.deepEqual(askedSince(all), ['A y 0-', 'B x 0-']);
  assert.equal(source.damaged('x'), true);
  await text(source);
  assert.deepEqual(askedSince(all), ['C x 0-']);
  assert.equal(source.damaged('x'), false);
  await text(source);
  assert.equal(a.asked.length, 1, 'whoever asks later asks in the usual order');
});

test('damaged bytes of the last that answers are not asked for without end', async () => {
  const { a, b } = three();
  const source = new FailoverSource([a, b]);
  b.failsAt = 0;
  await text(source);
  assert.equal(source.damaged('x'), true);
  await text(source);
  assert.equal(source.damaged('x'), false);
});

test('sources that are damaged in different pieces make one whole file', async () => {
  const bytes = randomBytes(8 * PIECE_SIZE);
  const pieces = Array.from({ length: 8 }, (_, i) => bytes.subarray(i * PIECE_SIZE, (i + 1) * PIECE_SIZE));
  const damagedIn = (...numbers: number[]): Source => ({
    name: `damaged in ${numbers.join()}`,
    get: async (_path, { start = 0 } = {}) => {
      const first = start / PIECE_SIZE;
      const given = pieces.map((piece, i) => (numbers.includes(i) ? Buffer.alloc(PIECE_SIZE) : piece));
      return await Promise.resolve(stream(given.slice(first)));
    },
  });
  assert.ok(bytes.equals(await readPieces(new FailoverSource([damagedIn(1, 4), damagedIn(2, 6)]), pieces)));
  const hopeless = new FailoverSource([damagedIn(1, 4), damagedIn(2, 4)]);
  await assert.rejects(readPieces(hopeless, pieces), /piece 4 is damaged everywhere/);
});

async function* stream(chunks: Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks;
}

/** Reads a file as packs are read: piece by piece, and from a damaged one on again while there is hope. */
async function readPieces(source: Source, pieces: Buffer[]): Promise<Buffer> {
  const read: Buffer[] = [];
  while (read.length < pieces.length) {
    for await (const chunk of await source.get('x', { start: read.length * PIECE_SIZE })) {
      if (pieces[read.length]?.equals(chunk) !== true) {
        if (!source.damaged?.('x')) throw new Error(`piece ${read.length} is damaged everywhere`);
        break;
      }
      read.push(chunk);
    }
  }
  return Buffer.concat(read);
}
