/** A tree of 200,000 files, half of them in one directory, and of files longer than disks: exact, and in little memory. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assertSameTree } from '../src/image/testing/describe-tree.ts';
import { makeTree, plain } from '../src/image/testing/make-tree.ts';
import { mount, scratch } from '../src/image/testing/scratch.ts';
import { run } from '../src/system/run.ts';
import { place } from './bladeroot.fixture.ts';

const FILES = 200_000;
const IN_ONE_DIRECTORY = 100_000;
const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const MAX_RSS = 400e6;

const MAKER = fileURLToPath(new URL('../src/image/testing/make-many.py', import.meta.url));

test('200,000 files, 100,000 in one directory, 9 GiB and 1 TiB with holes come back the same', async (t) => {
  // In memory: where it would take a disk minutes.
  const base = await scratch(t);
  await mount(t, base, ['-t', 'tmpfs', '-o', 'size=5g', 'bladeroot-test']);
  const [tree, out] = [join(base, 'tree'), join(base, 'out')];
  await mkdir(tree);
  await run('python3', ['-I', '-S', MAKER, tree, String(FILES), String(IN_ONE_DIRECTORY)]);
  await makeTree(tree, [
    plain('9-gib', {
      type: 'file',
      size: 9 * GIB + 1,
      data: Array.from({ length: 10 }, (_, i) => [i * GIB - (i === 9 ? 4096 : 0), 4096, i] as const),
    }),
    // Of many objects, from beyond 8 GiB on.
    plain('60-mib-of-data', { type: 'file', size: 1024 * GIB, data: [[8 * GIB - 4096, 60 * MIB, 1]] }),
  ]);
  const where = await place(t);
  assert.equal((await where.bladeroot(['init'])).status, 0);

  const memory = new Map<string, number>();
  const timed = async (what: string, ...args: string[]): Promise<string> => {
    const begun = performance.now();
    const { status, stdout, stderr, peakMemory } = await where.measured(args);
    assert.equal(status, 0, stderr);
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    t.diagnostic(`${what}: ${seconds} s, ${Math.round(peakMemory / MIB)} MiB`);
    memory.set(what, peakMemory);
    return stdout;
  };
  const first = await timed('pack', 'snapshot', 'pack', tree, '--json');
  assert.match(first, new RegExp(`"filesRead":${FILES + 2}\\b`));
  await timed('unpack', 'snapshot', 'unpack', 'tree', out);
  await assertSameTree(out, tree);

  assert.match(await timed('pack again', 'snapshot', 'pack', tree, '--json'), /"filesRead":0\b/);
  const unpacked = await timed('unpack again', 'snapshot', 'unpack', 'tree', out, '--json');
  assert.match(unpacked, /"bytesWritten":0\b/);
  await t.test('in less than 400 MB of memory', () => {
    for (const [what, peakMemory] of memory) {
      assert.ok(peakMemory < MAX_RSS, `${what} took ${Math.round(peakMemory / MIB)} MiB`);
    }
  });
});
