/**
 * `npm run bench:install`: how long a machine of the lab takes to install itself, beside the parts of that alone; to take a
 * release of which 5 % have changed; and to start when nothing has. Progress goes to stderr, the table to stdout,
 * everything as JSON to a file.
 */
import { join } from 'node:path';
import type { Output } from '../src/cli/output.ts';
import { measureParts } from './install/parts.ts';
import { BLADE, ROOT_URL, Setting } from './install/setting.ts';
import { machineHere } from './machine.ts';
import { benchCommand, inWorkFolder, LAB, runBench, writeReport, type BenchOptions } from './program.ts';
import type { Row } from './report.ts';

/** The most that they may take: of the longest part alone, of a full install, and in seconds. */
const GOALS = { install: 1.3, update: 0.25, networkSeconds: 2 };

interface Measured {
  rows: Row[];
  seconds: Record<string, number>;
}

/** Each part begins with an install of its own, and takes less than 14 minutes under plain emulation. */
const PARTS = { install: benchInstall, update: benchUpdate };

interface Options extends BenchOptions<keyof typeof PARTS> {
  /** Where the tree is kept. */
  cache: string;
}

async function benchInstall(setting: Setting, output: Output): Promise<Measured> {
  output.step('installing');
  const install = await setting.runAgent();
  output.step('the parts alone');
  const parts = await measureParts(setting.shell, BLADE, ROOT_URL);
  const rows = Object.entries(parts).map(([part, seconds]) =>
    timeRow('install', install, `${part} alone`, seconds),
  );
  const longest = Math.max(...Object.values(parts));
  rows.push({ ...timeRow('install', install, 'the longest part', longest), goal: GOALS.install });
  return { rows, seconds: { install, ...parts } };
}

async function benchUpdate(setting: Setting, output: Output): Promise<Measured> {
  output.step('installing');
  const install = await setting.runAgent();
  const machine = setting.lab.machine(BLADE.name);
  // Off, so that it does not bring itself to the new release before it is timed.
  await machine.powerOff();
  const { files, bytes } = await setting.publishChanged();
  output.step(`updating: ${files} files, ${bytes} bytes have changed`);
  const update = await setting.runAgent();
  await machine.powerOff();
  const twin = await setting.twin();
  output.step('starting when nothing has changed: by way of the network, and from the disk at once');
  const [network, disk] = [await setting.startFromDisk(machine), await setting.startFromDisk(twin)];
  return {
    rows: [
      { ...timeRow('update, 5 % changed', update, 'install', install), goal: GOALS.update },
      timeRow('start, nothing changed', network, 'without network', disk),
      { ...timeRow('of it the network', network - disk, 'limit', GOALS.networkSeconds), goal: 1 },
    ],
    seconds: { install, update, network, disk },
  };
}

function timeRow(what: string, ours: number, beside: string, theirs: number): Row {
  return { what, unit: 'seconds', ours, beside, theirs };
}

async function bench(options: Options, output: Output, signal: AbortSignal): Promise<void> {
  const { cache, only, rounds, json } = options;
  await inWorkFolder('install', async (work) => {
    const date = new Date().toISOString();
    const rows: Row[] = [];
    const runs: Record<string, Measured['seconds'][]> = {};
    for (const part of only) {
      const measured: Measured[] = [];
      for (let round = 1; round <= rounds; round++) {
        const directory = join(work, `${part}-${round}`);
        const setting = await Setting.create({ directory, cacheDirectory: cache, signal, output });
        await using _lab = setting.lab;
        measured.push(await PARTS[part](setting, output));
      }
      runs[part] = measured.map(({ seconds }) => seconds);
      rows.push(...leastDisturbed(measured));
    }
    const machine = await machineHere(LAB, ['qemu-system-x86']);
    await writeReport(json, rows, { date, machine, rounds, runs }, output);
  });
}

/** What else the machine did can only have added to the time of all that a round did. */
function leastDisturbed(measured: readonly Measured[]): Row[] {
  const sum = ({ seconds }: Measured): number => Object.values(seconds).reduce((all, part) => all + part, 0);
  return measured.toSorted((a, b) => sum(a) - sum(b))[0]?.rows ?? [];
}

await runBench(
  benchCommand('install', 'Times installs, updates and starts of a virtual machine.', PARTS, 1).option(
    '--cache <dir>',
    "where the lab's tree is kept, or made",
    join(LAB, 'cache'),
  ),
  bench,
);
