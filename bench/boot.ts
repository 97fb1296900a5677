/**
 * `npm run bench:boot`: how many blades the boot services carry at once, beside the servers that an administrator would
 * use otherwise. Progress goes to stderr, the table to stdout, everything as JSON to a file.
 */
import type { Output } from '../src/cli/output.ts';
import { BladerootError } from '../src/errors.ts';
import { run } from '../src/system/run.ts';
import { benchDhcp } from './boot/dhcp.ts';
import { benchHttp } from './boot/http.ts';
import { makeServed } from './boot/servers.ts';
import type { BootPart } from './boot/setting.ts';
import { benchStorm } from './boot/storm.ts';
import { benchTftp } from './boot/tftp.ts';
import { Wire } from './boot/wire.ts';
import { BOOT_PACKAGES, machineHere } from './machine.ts';
import { benchCommand, inWorkFolder, LAB, runBench, writeReport, type BenchOptions } from './program.ts';

const PARTS = { dhcp: benchDhcp, tftp: benchTftp, http: benchHttp, storm: benchStorm };
type Part = keyof typeof PARTS;
const PROGRAMS = 'perfdhcp kea-dhcp4 dnsmasq in.tftpd atftp nginx curl ip ss taskset'.split(' ');

async function bench(options: BenchOptions<Part>, output: Output, signal: AbortSignal): Promise<void> {
  await requirePrograms();
  await inWorkFolder('boot', async (work) => {
    const wire = new Wire();
    try {
      const onProgress = (line: string): void => output.step(line);
      const setting = { wire, work, rounds: options.rounds, signal, onProgress };
      await makeServed(setting);
      await wire.create();
      const date = new Date().toISOString();
      const parts: [Part, BootPart][] = [];
      for (const part of options.only) {
        onProgress(part);
        parts.push([part, await PARTS[part](setting)]);
      }
      const machine = await machineHere(LAB, BOOT_PACKAGES);
      const runs = Object.fromEntries(parts.map(([part, made]) => [part, made.runs]));
      const rows = parts.flatMap(([, made]) => made.rows);
      await writeReport(options.json, rows, { date, machine, rounds: options.rounds, runs }, output);
    } finally {
      await wire.remove();
    }
  });
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

await runBench(
  benchCommand(
    'boot',
    'Loads the boot services and their peers in network namespaces of their own, and compares.',
    PARTS,
  ),
  bench,
);
