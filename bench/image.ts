/**
 * `npm run bench:image`: how fast and how small the way from a tree to a snapshot and back is, beside the programs that
 * an administrator would use otherwise. Progress goes to stderr, the table to stdout, everything as JSON to a file.
 */
import { mkdir, statfs } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { bytes, Output } from '../src/cli/output.ts';
import { BladerootError, describeError } from '../src/errors.ts';
import { LEVEL } from '../src/store/frame.ts';
import { writeFileAtomic } from '../src/system/write-file.ts';
import { lockTree } from '../src/tree/lock.ts';
import { empty, remove } from './folder.ts';
import { IMAGE_PACKAGES, machineHere } from './machine.ts';
import { benchPack } from './pack.ts';
import { requirePeers } from './peers.ts';
import { markdownTable, ratioOf, type PartReport } from './report.ts';
import { benchSize } from './size.ts';
import { benchTrees, type BenchTrees } from './trees.ts';
import { benchUnpack } from './unpack.ts';
import { benchUpdate } from './update.ts';

const LAB = fileURLToPath(new URL('../.lab/', import.meta.url));
const PARTS = { pack: benchPack, unpack: benchUnpack, update: benchUpdate, size: benchSize };
type Part = keyof typeof PARTS;
/** Free space on the disk for what all the programs make, as a multiple of the tree. */
const SPACE = 7;
const USAGE = 2;
const INTERRUPTED = 130;

interface Options {
  only: Part[];
  rounds: number;
  /** Where the trees are kept. */
  trees: string;
  json: string;
}

const isPart = (name: string): name is Part => Object.hasOwn(PARTS, name);

function readOptions(args: string[]): Options {
  return new Command('bench:image')
    .description(
      'Packs, unpacks and updates a Debian tree with bladeroot and with other programs, and compares.',
    )
    .option(
      '--only <parts>',
      `parts, with commas: ${Object.keys(PARTS).join(', ')}`,
      partsOf,
      Object.keys(PARTS).filter(isPart),
    )
    .option('--rounds <count>', 'how often each command is timed', countOf, 3)
    .option('--trees <dir>', 'where the Debian trees are kept, or made', join(LAB, 'cache/bench'))
    .option('--json <file>', 'where everything is written', join(LAB, 'bench/image.json'))
    .exitOverride()
    .parse(args, { from: 'user' })
    .opts<Options>();
}

function partsOf(text: string): Part[] {
  const names = text.split(',');
  const parts = names.filter(isPart);
  if (parts.length === names.length) return parts;
  throw new InvalidArgumentError(`There are: ${Object.keys(PARTS).join(', ')}.`);
}

function countOf(text: string): number {
  if (/^[1-9]\d?$/.test(text)) return Number(text);
  throw new InvalidArgumentError('A number from 1 to 99 is wanted.');
}

async function bench(options: Options, output: Output, signal: AbortSignal): Promise<void> {
  await requirePeers();
  const work = join(LAB, 'bench', 'work');
  await mkdir(work, { recursive: true });
  // Two at once would measure each other.
  const unlock = await lockTree(dirname(work));
  try {
    const onProgress = (line: string): void => output.step(line);
    const trees = await benchTrees({ directory: resolve(options.trees), signal, onProgress });
    await empty(work);
    await requireSpace(work, trees);
    const date = new Date();
    const parts: Partial<Record<Part, PartReport>> = {};
    for (const part of options.only) {
      parts[part] = await PARTS[part]({ trees, work, rounds: options.rounds, signal, onProgress });
    }
    const rows = options.only.flatMap((part) => parts[part]?.rows ?? []);
    const report = {
      date: date.toISOString(),
      machine: await machineHere(LAB, IMAGE_PACKAGES),
      level: LEVEL,
      rounds: options.rounds,
      trees,
      rows: rows.map((row) => ({ ...row, ratio: ratioOf(row) })),
      contests: Object.assign({}, ...options.only.map((part) => parts[part]?.contests)),
    };
    await mkdir(dirname(resolve(options.json)), { recursive: true });
    await writeFileAtomic(resolve(options.json), `${JSON.stringify(report, null, 2)}\n`);
    output.result(report, markdownTable(rows));
  } finally {
    await remove(work);
    await unlock();
  }
}

async function requireSpace(directory: string, { before }: BenchTrees): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const [free, wanted] = [bavail * bsize, before.bytes * SPACE];
  if (free >= wanted) return;
  throw new BladerootError('BENCH_SPACE', `${directory} has ${bytes(free)} free, not ${bytes(wanted)}`, {
    hint: 'make room on that disk',
  });
}

async function main(): Promise<number> {
  const stopped = new AbortController();
  const stop = (): void => stopped.abort(new Error('stopped'));
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    await bench(readOptions(process.argv.slice(2)), new Output(false), stopped.signal);
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE;
    if (stopped.signal.aborted) return INTERRUPTED;
    process.stderr.write(`bench: ${describeError(error)}\n`);
    return 1;
  }
}

process.exitCode = await main();
