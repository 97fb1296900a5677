import assert from 'node:assert/strict';
import { mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Replay } from './power/replay.ts';
import { readWriteLog } from './power/write-log.ts';
import { randomFrom } from './power/random.ts';

const SECTOR = 512;
const DISK_SECTORS = 16;
const [FLUSH, DISCARD] = [1n, 4n];

interface Entry {
  sector: number;
  sectors: number;
  flags?: bigint;
}

/** A log as QEMU writes it; the bytes of a request are its number. @param counted as its first sector says */
function logOf(entries: Entry[], counted: number = entries.length): Buffer {
  const first = Buffer.alloc(SECTOR);
  first.writeBigUInt64LE(0x6a736677736872n, 0);
  first.writeBigUInt64LE(1n, 8);
  first.writeBigUInt64LE(BigInt(counted), 16);
  first.writeUInt32LE(SECTOR, 24);
  const rest = entries.flatMap(({ sector, sectors, flags = 0n }, index) => {
    const header = Buffer.alloc(SECTOR);
    header.writeBigUInt64LE(BigInt(sector), 0);
    header.writeBigUInt64LE(BigInt(sectors), 8);
    header.writeBigUInt64LE(flags, 16);
    return flags === DISCARD ? [header] : [header, Buffer.alloc(sectors * SECTOR, index + 1)];
  });
  return Buffer.concat([first, ...rest]);
}

async function replayOf(
  t: TestContext,
  entries: Entry[],
): Promise<(requests: number, fate: 'none' | 'all' | 'some sectors') => Promise<number[]>> {
  const base = await mkdtemp(join(tmpdir(), 'bladeroot-replay-'));
  const at = (name: string): string => join(base, name);
  await writeFile(at('log'), logOf(entries));
  await writeFile(at('begin'), '');
  await truncate(at('begin'), DISK_SECTORS * SECTOR);
  const replay = await Replay.open(at('log'), at('begin'), at('image'));
  t.after(async () => {
    await replay.close();
    await rm(base, { recursive: true });
  });
  const random = randomFrom(5);
  return async (requests, fate) => {
    await replay.disk({ requests, fate }, random, at('disk'));
    const disk = await readFile(at('disk'));
    return Array.from({ length: DISK_SECTORS }, (_, sector) => disk.readUInt8(sector * SECTOR));
  };
}

const FLUSHED = { sector: 0, sectors: 0, flags: FLUSH };

test('what was flushed is on the disk of every later moment, and of what was not, as much as its fate says', async (t) => {
  const disk = await replayOf(t, [
    { sector: 0, sectors: 2 },
    { sector: 2, sectors: 2 },
    FLUSHED,
    { sector: 1, sectors: 2 },
    { sector: 4, sectors: 8 },
    FLUSHED,
  ]);
  assert.deepEqual(await disk(0, 'all'), filled());
  assert.deepEqual(await disk(2, 'none'), filled());
  assert.deepEqual(await disk(2, 'all'), filled(1, 1, 2, 2));
  assert.deepEqual(await disk(3, 'none'), filled(1, 1, 2, 2));
  assert.deepEqual(await disk(5, 'none'), filled(1, 1, 2, 2));
  assert.deepEqual(await disk(5, 'all'), filled(1, 4, 4, 2, 5, 5, 5, 5, 5, 5, 5, 5));
  const torn = await disk(5, 'some sectors');
  assert.deepEqual([torn[0], torn[3]], [1, 2], 'what was not written again stays');
  assert.ok([1, 4].includes(torn[1] ?? -1) && [2, 4].includes(torn[2] ?? -1));
  assert.deepEqual(new Set(torn.slice(4, 12)), new Set([0, 5]), 'a request is on the disk in part');
  assert.deepEqual(await disk(6, 'none'), filled(1, 4, 4, 2, 5, 5, 5, 5, 5, 5, 5, 5));
});

test('a log is read to where it says that it ends, past discards, and one that was cut off as far as it is there', async (t) => {
  const entries = [{ sector: 7, sectors: 4, flags: DISCARD }, { sector: 1, sectors: 3 }, FLUSHED];
  const base = await mkdtemp(join(tmpdir(), 'bladeroot-log-'));
  t.after(async () => await rm(base, { recursive: true }));
  for (const [counted, found] of [
    [3, 3],
    [2, 2],
    [0, 3],
  ] as const) {
    await writeFile(join(base, 'log'), logOf(entries, counted));
    const file = await open(join(base, 'log'));
    try {
      const read = await readWriteLog(file);
      assert.equal(read.length, found);
      assert.deepEqual(read[0], {
        offset: 7 * SECTOR,
        bytes: 4 * SECTOR,
        dataAt: undefined,
        flush: false,
        fua: false,
      });
      assert.deepEqual(read[1], {
        offset: SECTOR,
        bytes: 3 * SECTOR,
        dataAt: 3 * SECTOR,
        flush: false,
        fua: false,
      });
    } finally {
      await file.close();
    }
  }
});

test('the same seed gives the same numbers, from 0 to below 1, and another seed others', () => {
  assert.deepEqual(hundredFrom(7), hundredFrom(7));
  assert.notDeepEqual(hundredFrom(7), hundredFrom(8));
  assert.ok(hundredFrom(7).every((number) => number >= 0 && number < 1));
});

/** The first bytes of a disk's sectors, with zeros to its end. */
function filled(...sectors: number[]): number[] {
  return [...sectors, ...Array<number>(DISK_SECTORS).fill(0)].slice(0, DISK_SECTORS);
}

function hundredFrom(seed: number): number[] {
  return Array.from({ length: 100 }, randomFrom(seed));
}
