/**
 * Programs that run for long and may outlive this process: known by pid and start time, so that a recycled pid is
 * never taken for them, with their output in files rather than pipes, so that nothing breaks when we end first.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { BladerootError, errorCode } from '../src/errors.ts';

export interface ProcessId {
  pid: number;
  /** Clock ticks after the kernel's boot: field 22 of /proc/PID/stat (proc_pid_stat(5)). */
  startTime: number;
}

/** How a program ended; both are null where it was another process's child and nobody can know. */
export interface ProcessEnd {
  status: number | null;
  signal: NodeJS.Signals | null;
}

export interface OwnedProcess {
  readonly id: ProcessId;
  running(): boolean;
  /** Waits for its end; keeps this process alive meanwhile, and no longer. */
  ended(signal?: AbortSignal): Promise<ProcessEnd>;
  /** Signals the program and what it started in its own process group; does nothing once it has ended. */
  kill(signal: NodeJS.Signals): void;
}

export interface StartOptions {
  /** Files that stdout and stderr are appended to. */
  stdout: string;
  stderr: string;
  /** Added to this process's environment. */
  env?: Record<string, string>;
  /** Let it live on when this process ends; otherwise the kernel kills it then, even if we were killed ourselves. */
  outlive: boolean;
}

/**
 * Starts a program in a session of its own: Ctrl-C on our terminal reaches us and not it, so that its owner decides.
 * @throws BladerootError `PROGRAM_FAILED` when it cannot be started.
 */
export async function startProcess(
  program: string,
  args: string[],
  options: StartOptions,
): Promise<OwnedProcess> {
  const [command, ...rest] = options.outlive
    ? [program, ...args]
    : ['setpriv', '--pdeathsig', 'KILL', '--', program, ...args];
  const stdout = await open(options.stdout, 'a');
  const stderr = await open(options.stderr, 'a');
  try {
    const child = spawn(command ?? program, rest, {
      detached: true,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', stdout.fd, stderr.fd],
    });
    const ended = new Promise<ProcessEnd>((resolve) => {
      child.once('exit', (status, signal) => resolve({ status, signal }));
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (cause) =>
        reject(new BladerootError('PROGRAM_FAILED', `${program} could not be started`, { cause })),
      );
    });
    if (options.outlive) child.unref();
    const id = identify(child.pid);
    return {
      id,
      running: () => isRunning(id),
      ended: async (signal) => {
        await untilGone(id, signal);
        child.ref();
        return await ended;
      },
      kill: (signal) => killProcess(id, signal),
    };
  } finally {
    await stdout.close();
    await stderr.close();
  }
}

/** A program that some other process started: it can be looked at, waited for and ended. */
export function attachProcess(id: ProcessId): OwnedProcess {
  return {
    id,
    running: () => isRunning(id),
    ended: async (signal) => {
      await untilGone(id, signal);
      return { status: null, signal: null };
    },
    kill: (signal) => killProcess(id, signal),
  };
}

/** Ends a program with SIGTERM, and with SIGKILL if it has not ended within `graceMs` milliseconds. */
export async function stopProcess(child: OwnedProcess, graceMs: number): Promise<ProcessEnd> {
  child.kill('SIGTERM');
  const late = new AbortController();
  const killing = sleep(graceMs, undefined, { signal: late.signal }).then(
    () => child.kill('SIGKILL'),
    () => undefined,
  );
  const end = await child.ended();
  late.abort();
  await killing;
  return end;
}

/** This very process, or another by its pid. */
export function identify(pid: number | undefined = process.pid): ProcessId {
  const stat = readStat(pid);
  // A child that has ended already stays a zombie until Node reaps it, so that its entry is still there.
  if (stat === undefined) throw new BladerootError('PROCESS_MISSING', `there is no process ${pid}`);
  return { pid, startTime: stat.startTime };
}

export function isRunning(id: ProcessId): boolean {
  const stat = readStat(id.pid);
  return stat !== undefined && stat.startTime === id.startTime && stat.state !== 'Z' && stat.state !== 'X';
}

/** Only a parent is told of the end, and being told keeps the parent alive: looking suits everybody. */
async function untilGone(id: ProcessId, signal?: AbortSignal): Promise<void> {
  while (isRunning(id)) await sleep(LOOK_INTERVAL_MS, undefined, { signal });
}

const LOOK_INTERVAL_MS = 50;

function killProcess(id: ProcessId, signal: NodeJS.Signals): void {
  if (!isRunning(id)) return;
  try {
    process.kill(-id.pid, signal);
  } catch (error) {
    // It ended between the look and the signal.
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}

function readStat(pid: number): { state: string; startTime: number } | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ESRCH') return undefined;
    throw error;
  }
  // The second field, the program's name in brackets, may itself hold spaces and brackets.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', startTime: Number(fields[19]) };
}
