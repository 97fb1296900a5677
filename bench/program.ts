/** What the benchmarks have in common as programs: their options, how they end, and what they leave behind. */
import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { Output } from '../src/cli/output.ts';
import { describeError } from '../src/errors.ts';
import { writeFileAtomic } from '../src/system/write-file.ts';
import { lockTree } from '../src/tree/lock.ts';
import { empty, remove } from './folder.ts';
import { markdownTable, ratioOf, type Row } from './report.ts';

export const LAB = fileURLToPath(new URL('../.lab/', import.meta.url));

const USAGE = 2;
const INTERRUPTED = 130;

export interface BenchOptions<Part extends string> {
  only: Part[];
  rounds: number;
  json: string;
}

/**
 * @param name the file that everything is written to is named after it
 * @param rounds how many there are when nobody says otherwise
 */
export function benchCommand<Part extends string>(
  name: string,
  description: string,
  parts: Readonly<Record<Part, unknown>>,
  rounds = 3,
): Command {
  const isPart = (text: string): text is Part => Object.hasOwn(parts, text);
  const all = Object.keys(parts).filter(isPart);
  const partsOf = (text: string): Part[] => {
    const names = text.split(',');
    const found = names.filter(isPart);
    if (found.length === names.length) return found;
    throw new InvalidArgumentError(`There are: ${all.join(', ')}.`);
  };
  return new Command(`bench:${name}`)
    .description(description)
    .option('--only <parts>', `parts, with commas: ${all.join(', ')}`, partsOf, all)
    .option('--rounds <count>', 'how often each is timed', countOf, rounds)
    .option('--json <file>', 'where everything is written', join(LAB, `bench/${name}.json`))
    .exitOverride();
}

function countOf(text: string): number {
  if (/^[1-9]\d?$/.test(text)) return Number(text);
  throw new InvalidArgumentError('A number from 1 to 99 is wanted.');
}

/** Does something in an empty folder of the lab's, which is gone afterwards; two at once would measure each other. */
export async function inWorkFolder<T>(name: string, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = join(LAB, 'bench', name);
  await mkdir(folder, { recursive: true });
  const unlock = await lockTree(dirname(folder));
  try {
    await empty(folder);
    return await work(folder);
  } finally {
    await remove(folder);
    await unlock();
  }
}

/** Writes everything as JSON to a file, and prints the table. */
export async function writeReport(
  file: string,
  rows: readonly Row[],
  more: Record<string, unknown>,
  output: Output,
): Promise<void> {
  const report = { ...more, rows: rows.map((row) => ({ ...row, ratio: ratioOf(row) })) };
  await mkdir(dirname(resolve(file)), { recursive: true });
  await writeFileAtomic(resolve(file), `${JSON.stringify(report, null, 2)}\n`);
  output.result(report, markdownTable(rows));
}

/** Runs a benchmark and sets how the process ends. Progress goes to stderr, the result to stdout. */
export async function runBench<Options extends object>(
  command: Command,
  bench: (options: Options, output: Output, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stopped = new AbortController();
  const stop = (): void => stopped.abort(new Error('stopped'));
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    const options = command.parse(process.argv.slice(2), { from: 'user' }).opts<Options>();
    await bench(options, new Output(false), stopped.signal);
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : USAGE;
    else if (stopped.signal.aborted) process.exitCode = INTERRUPTED;
    else {
      process.stderr.write(`bench: ${describeError(error)}\n`);
      process.exitCode = 1;
    }
  }
}
