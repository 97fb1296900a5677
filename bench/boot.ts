/**
 * `npm run bench:boot`: how many blades the boot services carry at once, beside the servers that an administrator would
 * use otherwise. Progress goes to stderr, the table to stdout, everything as JSON to a file.
 */
import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { Output } from '../src/cli/output.ts';
import { BladerootError, describeError } from '../src/errors.ts';
import { run } from '../src/system/run.ts';
import { writeFileAtomic } from '../src/system/write-file.ts';
import { lockTree } from '../src/tree/lock.ts';
import { benchDhcp } from './boot/dhcp.ts';
import { benchHttp } from './boot/http.ts';
import { makeServed } from './boot/servers.ts';
import type { BootPart } from './boot/setting.ts';
import { benchStorm } from './boot/storm.ts';
import { benchTftp } from './boot/tftp.ts';
import { Wire } from './boot/wire.ts';
import { empty, remove } from './folder.ts';
import { BOOT_PACKAGES, machineHere } from './machine.ts';
import { markdownTable, ratioOf } from './report.ts';

const LAB = fileURLToPath(new URL('../.lab/', import.meta.url));
const PARTS = { dhcp: benchDhcp, tftp: benchTftp, http: benchHttp, storm: benchStorm };
type Part = keyof typeof PARTS;
const PROGRAMS = [
  'perfdhcp',
  'kea-dhcp4',
  'dnsmasq',
  'in.tftpd',
  'atftp',
  'nginx',
  'curl',
  'ip',
  'ss',
  'taskset',
];
const USAGE = 2;
const INTERRUPTED = 130;

interface Options {
  only: Part[];
  rounds: number;
  json: string;
}

const isPart = (name: string): name is Part => Object.hasOwn(PARTS, name);

function readOptions(args: string[]): Options {
  const all = Object.keys(PARTS).filter(isPart);
  return new Command('bench:boot')
    .description('Loads the boot services and their peers in network namespaces of their own, and compares.')
    .option('--only <parts>', `parts, with commas: ${all.join(', ')}`, partsOf, all)
    .option('--rounds <count>', 'how often a single client is timed', countOf, 3)
    .option('--json <file>', 'where everything is written', join(LAB, 'bench/boot.json'))
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

async function requirePrograms(): Promise<void> {
  if (process.geteuid?.() !== 0)
    throw new BladerootError('NOT_ROOT', 'network namespaces need root rights', { hint: 'run it with sudo' });
  const { stdout } = await run('bash', [
    '-c',
    'for p; do type -P "$p" >&2 || echo "$p"; done',
    'bench',
    ...PROGRAMS,
  ]);
  const missing = stdout
    .trim()
    .split('\n')
    .filter((name) => name !== '');
  if (missing.length === 0) return;
  throw new BladerootError('PROGRAM_MISSING', `not installed: ${missing.join(', ')}`, {
    hint: 'run `scripts/setup --bench`',
  });
}

async function bench(options: Options, output: Output, signal: AbortSignal): Promise<void> {
  await requirePrograms();
  const work = join(LAB, 'bench', 'boot');
  await mkdir(work, { recursive: true });
  // Two at once would measure each other.
  const unlock = await lockTree(dirname(work));
  const wire = new Wire();
  try {
    await empty(work);
    const onProgress = (line: string): void => output.step(line);
    const setting = { wire, work, rounds: options.rounds, signal, onProgress };
    await makeServed(setting);
    await wire.create();
    const date = new Date();
    const parts: [Part, BootPart][] = [];
    for (const part of options.only) {
      onProgress(part);
      parts.push([part, await PARTS[part](setting)]);
    }
    const rows = parts.flatMap(([, { rows: own }]) => own);
    const report = {
      date: date.toISOString(),
      machine: await machineHere(LAB, BOOT_PACKAGES),
      rounds: options.rounds,
      rows: rows.map((row) => ({ ...row, ratio: ratioOf(row) })),
      runs: Object.fromEntries(parts.map(([part, { runs }]) => [part, runs])),
    };
    await mkdir(dirname(resolve(options.json)), { recursive: true });
    await writeFileAtomic(resolve(options.json), `${JSON.stringify(report, null, 2)}\n`);
    output.result(report, markdownTable(rows));
  } finally {
    await wire.remove();
    await remove(work);
    await unlock();
  }
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
