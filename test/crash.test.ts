/**
 * Commands that are killed at any moment, or run out of disk: what is listed is whole, and the next command goes on from
 * there. BLADEROOT_CRASH_SEED plays the same moments again, as far as the machine is as fast; BLADEROOT_CRASH_ROUNDS
 * tries more.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { mkdir, readdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { assertSameTree, describeTree } from '../src/image/testing/describe-tree.ts';
import { dense, makeTree, plain, type ThingToMake } from '../src/image/testing/make-tree.ts';
import { mount, remove, scratch } from '../src/image/testing/scratch.ts';
import { run } from '../src/system/run.ts';
import { place, type Ended, type Place } from './bladeroot.fixture.ts';
import { assertWhole } from './whole-store.fixture.ts';

const SEED = Number(process.env['BLADEROOT_CRASH_SEED'] ?? randomInt(2 ** 31));
const ROUNDS = Number(process.env['BLADEROOT_CRASH_ROUNDS'] ?? 2);
const MIB = 1024 * 1024;
const DIR = { type: 'dir' } as const;

/** Numbers from 0 to 1, the same for the same seed (xorshift32; Marsaglia, 2003). */
function random(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Files of all kinds in both layers; of each version some are others. */
function version(number: number): ThingToMake[] {
  const files = Array.from({ length: 200 }, (_, i) => {
    const isNew = i % 10 === number % 10;
    return plain(`small/${i}`, dense(10_000, isNew ? 1000 * number + i : i), { mtime: String(number) });
  });
  return [
    plain('', DIR),
    ...['small', 'usr', 'usr/src'].map((path) => plain(path, DIR)),
    ...files,
    plain('large', dense(9 * MIB, 5)),
    plain('usr/src/large', dense(3 * MIB, 1_000_000 + number), { mtime: String(number) }),
    plain('usr/src/link', { type: 'symlink', target: 'x' }),
    { type: 'hardlink', path: 'usr/src/linked', target: 'small/0' },
  ];
}

interface Lab {
  place: Place;
  /** What is packed. */
  tree: string;
  /** What is unpacked to. */
  out: string;
  /** What is exported to. */
  file: string;
  /** Another root of the same fleet, that imports. */
  other: Place;
  /** What the trees of snapshots were like, by id. */
  known: Map<string, string[]>;
}

async function lab(t: TestContext): Promise<Lab> {
  const base = await scratch(t);
  const [where, other] = [await place(t), await place(t)];
  const [tree, out, file] = [join(base, 'tree'), join(base, 'out'), join(base, 'exported')];
  return { place: where, other, tree, out, file, known: new Map() };
}

/** Makes the fleet's key, and gives it to the other root. */
async function initialize(where: Lab): Promise<void> {
  await succeed(where, ['init']);
  await mkdir(where.other.state, { recursive: true });
  await run('cp', ['--archive', join(where.place.state, 'keys'), where.other.state]);
}

/** Runs a command that has to succeed, and returns what it printed. */
async function succeed({ place: where }: Pick<Lab, 'place'>, args: string[]): Promise<string> {
  const { status, stdout, stderr } = await where.bladeroot(args);
  assert.equal(status, 0, `${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** What a command is, how far it may have come when it is killed, and what must be true when it has run to its end. */
interface Operation {
  /** Who runs it, where that is not the root that packs. */
  place?(lab: Lab): Place;
  args(lab: Lab): string[];
  before(lab: Lab, round: number): Promise<void>;
  after(lab: Lab, stdout: string): Promise<void>;
}

const OPERATIONS: Record<string, Operation> = {
  pack: {
    args: ({ tree }) => ['snapshot', 'pack', tree, '--json'],
    async before({ tree }, round) {
      await remove(tree);
      await makeTree(tree, version(round));
    },
    async after({ tree, known }, stdout) {
      const { id }: { id: string } = JSON.parse(stdout);
      known.set(id, await describeTree(tree));
    },
  },
  'unpack over another': {
    args: ({ out }) => ['snapshot', 'unpack', 'tree', out],
    before: async () => {},
    async after({ tree, out }) {
      await assertSameTree(out, tree);
    },
  },
  'unpack anew': {
    args: ({ out }) => ['snapshot', 'unpack', 'tree', `${out}-anew`],
    async before({ out }) {
      await remove(`${out}-anew`);
    },
    async after({ tree, out }) {
      await assertSameTree(`${out}-anew`, tree);
    },
  },
  gc: {
    args: () => ['snapshot', 'gc'],
    // The oldest goes, once there are some.
    async before(where) {
      const [oldest] = where.known.keys();
      if (oldest === undefined || where.known.size < 3) return;
      await succeed(where, ['snapshot', 'rm', oldest]);
      where.known.delete(oldest);
    },
    after: async (where) => void (await succeed(where, ['snapshot', 'verify', '--json'])),
  },
  export: {
    args: ({ file }) => ['snapshot', 'export', 'tree', file],
    before: async ({ file }) => await remove(file),
    after: async () => {},
  },
  import: {
    place: ({ other }) => other,
    args: ({ file }) => ['snapshot', 'import', file],
    before: async ({ other }) => await remove(join(other.state, 'store')),
    async after({ other, known }) {
      const listed = await assertWhole(other.state);
      assert.deepEqual(
        listed.map(({ id }) => id),
        [...known.keys()].slice(-1),
      );
    },
  },
};

/** That nothing is lost, and nothing is left over. */
async function assertSound(where: Lab): Promise<void> {
  await assertWhole(where.other.state);
  const listed = await assertWhole(where.place.state);
  const ids = new Set(listed.map(({ id }) => id));
  for (const id of where.known.keys()) assert.ok(ids.has(id), `snapshot ${id} is lost`);
  assert.deepEqual(await readdir(join(where.place.state, 'store/tmp')), []);
}

test(`kill -9 at any moment loses nothing, and the same command again finishes (seed ${SEED})`, async (t) => {
  const where = await lab(t);
  await initialize(where);
  const next = random(SEED);
  let killed = 0;
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, operation] of Object.entries(OPERATIONS)) {
      await operation.before(where, round);
      const args = operation.args(where);
      const who = operation.place?.(where) ?? where.place;
      // The first time it tells how long it takes.
      if (round > 0) {
        const after = (0.15 + 0.9 * next()) * (durations.get(name) ?? 0);
        const ended = await who.killed(args, after);
        if (ended.status === null) killed++;
        else assert.equal(ended.status, 0, ended.stderr);
        await assertSound(where);
      }
      const begun = performance.now();
      const stdout = await succeed({ place: who }, args);
      durations.set(name, Math.min(performance.now() - begun, durations.get(name) ?? Infinity));
      await operation.after(where, stdout);
    }
  }
  await assertSound(where);
  t.diagnostic(`${killed} of ${Object.keys(OPERATIONS).length * ROUNDS} were killed before they had ended`);
  assert.ok(killed >= ROUNDS, `${killed} were killed`);
  const cache = await readdir(join(where.place.state, 'cache/pack'));
  assert.equal(cache.length, 1, `left over: ${cache.join(', ')}`);
  for (const [id, expected] of where.known) {
    await succeed(where, ['snapshot', 'unpack', id, where.out]);
    await assertSameTree(where.out, expected);
  }
});

/** By operation, in milliseconds. */
const durations = new Map<string, number>();

function assertDiskFull({ status, stderr }: Ended): void {
  assert.equal(status, 1, stderr);
  assert.match(stderr.trimEnd().split('\n').at(-1) ?? '', /^bladeroot: .*no space left/);
}

/** Gives a tmpfs as many bytes more than are in it now. */
async function leaveRoom(path: string, bytes: number): Promise<void> {
  const { blocks, bfree, bsize } = await statfs(path);
  const size = Math.ceil(((blocks - bfree) * bsize + bytes) / 4096) * 4096;
  await run('mount', ['-o', `remount,size=${size}`, path]);
}

test('a disk that is full at any moment loses nothing, and with room the same command again finishes', async (t) => {
  const where = await lab(t);
  const { state } = where.place;
  await mkdir(state);
  await mount(t, state, ['-t', 'tmpfs', '-o', 'size=100m', 'bladeroot-test']);
  await mkdir(where.out);
  await mount(t, where.out, ['-t', 'tmpfs', '-o', 'size=100m', 'bladeroot-test']);
  await initialize(where);
  await makeTree(where.tree, version(0));
  const first = ['snapshot', 'pack', where.tree, '--json'];
  await OPERATIONS['pack']?.after(where, await succeed(where, first));

  // The new version needs some 3.2 MiB.
  for (const [i, room] of [8192, 2 * MIB, 3.2 * MIB].entries()) {
    await remove(where.tree);
    await makeTree(where.tree, version(i + 1));
    await leaveRoom(state, room);
    const packed = await where.place.bladeroot(first);
    if (packed.status !== 0) assertDiskFull(packed);
    assert.ok(packed.status !== 0 || room > 3 * MIB, `${room} bytes were enough`);
    await assertSound(where);
    await leaveRoom(state, 50 * MIB);
    await OPERATIONS['pack']?.after(where, await succeed(where, first));
    await assertSound(where);

    const unpack = ['snapshot', 'unpack', 'tree', where.out];
    await leaveRoom(where.out, i === 0 ? 6 * MIB : i * 100_000);
    const unpacked = await where.place.bladeroot(unpack);
    assertDiskFull(unpacked);
    assert.match(unpacked.stderr, /could not be written/);
    await leaveRoom(where.out, 50 * MIB);
    await succeed(where, unpack);
    await assertSameTree(where.out, where.tree);
  }
});
