/** Runs one command and says what it cost. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { run, startPiped } from '../../src/system/run.ts';
import { inNamespaces } from '../../src/tree/namespaces.ts';
import { watchMemory } from '../process-memory.ts';

export interface Cost {
  /** Wall clock. */
  seconds: number;
  /** User and system time of all its processes. */
  cpuSeconds: number;
  /** Most memory that all its processes had together, in bytes; undefined when it was not asked for. */
  peakBytes: number | undefined;
  stdout: string;
}

/** Runs a command, and writes the seconds that it and its children had of the processors, user and system, to a file. */
const TIMED = 'TIMEFORMAT="%3U %3S"; { time "$@" 2>&3; } 3>&2 2>"$0"';

export interface MeasureOptions {
  /** Watch its memory, which slows it down by a few per cent. */
  memory: boolean;
  signal: AbortSignal;
}

/**
 * Runs a command to its end, in a PID namespace of its own, so that nothing of it outlives this process or an abort.
 * What was written before is on the disk when the clock starts, and is not paid for by this command.
 * @throws BladerootError `PROGRAM_FAILED`, `PROGRAM_MISSING`
 */
export async function measure(command: string[], { memory, signal }: MeasureOptions): Promise<Cost> {
  await run('sync', [], { signal });
  const scratch = await mkdtemp(join(tmpdir(), 'bladeroot-bench-'));
  const times = join(scratch, 'times');
  try {
    const begun = performance.now();
    const timed = ['bash', '-c', TIMED, times, ...command];
    const child = startPiped(...inNamespaces(timed), { signal, killSignal: 'SIGKILL' });
    child.stdin.end();
    const watch = memory && child.pid !== undefined ? watchMemory(child.pid) : undefined;
    const printed = text(child.stdout);
    try {
      await child.done;
    } finally {
      watch?.stop();
    }
    const seconds = (performance.now() - begun) / 1000;
    const cpuSeconds = (await readFile(times, 'utf8'))
      .split(' ')
      .reduce((sum, part) => sum + Number(part), 0);
    return { seconds, cpuSeconds, peakBytes: watch?.peakBytes, stdout: await printed };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
