/**
 * `npm run bench:image`: how fast and how small the way from a tree to a snapshot and back is, beside the programs that
 * an administrator would use otherwise. Progress goes to stderr, the table to stdout, everything as JSON to a file.
 */
import { statfs } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { bytes, type Output } from '../src/cli/output.ts';
import { BladerootError } from '../src/errors.ts';
import { LEVEL } from '../src/store/frame.ts';
import { benchPack } from './image/pack.ts';
import { requirePeers } from './image/peers.ts';
import { benchSize } from './image/size.ts';
import { benchTrees, type BenchTrees } from './image/trees.ts';
import { benchUnpack } from './image/unpack.ts';
import { benchUpdate } from './image/update.ts';
import { IMAGE_PACKAGES, machineHere } from './machine.ts';
import { benchCommand, inWorkFolder, LAB, runBench, writeReport, type BenchOptions } from './program.ts';
import type { PartReport } from './report.ts';

const PARTS = { pack: benchPack, unpack: benchUnpack, update: benchUpdate, size: benchSize };
type Part = keyof typeof PARTS;
/** Free space on the disk for what all the programs make, as a multiple of the tree. */
const SPACE = 7;

interface Options extends BenchOptions<Part> {
  /** Where the trees are kept. */
  trees: string;
}

async function bench(options: Options, output: Output, signal: AbortSignal): Promise<void> {
  await requirePeers();
  await inWorkFolder('work', async (work) => {
    const onProgress = (line: string): void => output.step(line);
    const trees = await benchTrees({ directory: resolve(options.trees), signal, onProgress });
    await requireSpace(work, trees);
    const { rounds } = options;
    const date = new Date().toISOString();
    const parts: PartReport[] = [];
    for (const part of options.only) {
      parts.push(await PARTS[part]({ trees, work, rounds, signal, onProgress }));
    }
    const machine = await machineHere(LAB, IMAGE_PACKAGES);
    const contests = Object.assign({}, ...parts.map((part) => part.contests));
    const rows = parts.flatMap((part) => part.rows);
    await writeReport(options.json, rows, { date, machine, level: LEVEL, rounds, trees, contests }, output);
  });
}

async function requireSpace(directory: string, { before }: BenchTrees): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const [free, wanted] = [bavail * bsize, before.bytes * SPACE];
  if (free >= wanted) return;
  throw new BladerootError('BENCH_SPACE', `${directory} has ${bytes(free)} free, not ${bytes(wanted)}`, {
    hint: 'make room on that disk',
  });
}

await runBench(
  benchCommand(
    'image',
    'Packs, unpacks and updates a Debian tree with bladeroot and with other programs, and compares.',
    PARTS,
  ).option('--trees <dir>', 'where the Debian trees are kept, or made', join(LAB, 'cache/bench')),
  bench,
);
