/**
 * The one place where external programs are started: always an argument array, never a shell string, and what the
 * program said on stderr is in the error.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { BladerootError } from '../errors.ts';

export interface RunOptions {
  cwd?: string;
  /** Added to this process's environment. */
  env?: Record<string, string>;
  /** Ends the program, and what it returned is then the signal's reason as an error. */
  signal?: AbortSignal | undefined;
  /** What it is ended with; SIGTERM when left out. */
  killSignal?: NodeJS.Signals;
  /** Written to the program's stdin. */
  input?: string | Uint8Array;
  /** Called with what the program says on stderr, as it comes; it is kept for the error all the same. */
  onStderr?: (text: string) => void;
}

export interface RunResult {
  stdout: string;
  stderr: string;
}

/** As `run`, for a program whose output is not text. */
export async function runForBytes(
  program: string,
  args: string[],
  options: RunOptions = {},
): Promise<Buffer> {
  return (await runToEnd(program, args, options)).stdout;
}

/**
 * Runs a program to its end and returns what it printed.
 * @throws BladerootError `PROGRAM_MISSING` when there is no such program, `PROGRAM_FAILED` when it ends other than with 0.
 */
export async function run(program: string, args: string[], options: RunOptions = {}): Promise<RunResult> {
  const { stdout, stderr } = await runToEnd(program, args, options);
  return { stdout: stdout.toString(), stderr };
}

async function runToEnd(
  program: string,
  args: string[],
  options: RunOptions,
): Promise<{ stdout: Buffer; stderr: string }> {
  const child = startPiped(program, args, options);
  const stdout: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stdin.end(options.input ?? '');
  const stderr = await child.done;
  return { stdout: Buffer.concat(stdout), stderr };
}

/** Runs a program to its end on this process's own terminal, and returns its exit status. */
export async function runInteractive(
  program: string,
  args: string[],
  options: RunOptions = {},
): Promise<number> {
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: 'inherit',
  });
  return await new Promise<number>((resolve, reject) => {
    child.once('error', (error) => reject(startError(program, error)));
    child.once('close', (status, signal) => resolve(status ?? (signal === null ? 1 : 128)));
  });
}

export interface PipedChild {
  stdin: Writable;
  stdout: Readable;
  pid: number | undefined;
  /** What the program said on stderr; rejects as `run` does. */
  done: Promise<string>;
  kill(signal: NodeJS.Signals): void;
}

/** Starts a program whose stdin and stdout are streams; its owner awaits `done`. */
export function startPiped(program: string, args: string[], options: RunOptions = {}): PipedChild {
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  // A program that ends before it has read everything breaks the pipe: `done` tells why, the pipe need not.
  child.stdin.on('error', () => child.stdin.destroy());
  const abort = (): void => void child.kill(options.killSignal ?? 'SIGTERM');
  options.signal?.addEventListener('abort', abort, { once: true });
  if (options.signal?.aborted === true) abort();
  const done = ended(child, program, args, options).finally(() =>
    options.signal?.removeEventListener('abort', abort),
  );
  // Whoever started the program may await `done` late: until then a rejection is not unhandled.
  done.catch(() => undefined);
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    pid: child.pid,
    done,
    kill: (signal) => void child.kill(signal),
  };
}

function ended(child: ChildProcess, program: string, args: string[], options: RunOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-STDERR_KEPT);
      options.onStderr?.(text);
    });
    child.once('error', (error) => reject(startError(program, error)));
    child.once('close', (status, signal) => {
      if (options.signal?.aborted === true) reject(abortReason(options.signal));
      else if (status === 0) resolve(stderr);
      else reject(new ProgramFailed(program, args, status, signal, stderr));
    });
  });
}

/** A program ended other than with 0; `status` is null where a signal ended it. */
export class ProgramFailed extends BladerootError {
  readonly status: number | null;
  readonly stderr: string;

  constructor(
    program: string,
    args: string[],
    status: number | null,
    signal: NodeJS.Signals | null,
    stderr: string,
  ) {
    const how = status === null ? `was ended by ${signal ?? 'a signal'}` : `ended with status ${status}`;
    const said = stderr.trim().split('\n').slice(-5).join(' | ');
    super('PROGRAM_FAILED', `${[program, ...args].join(' ').slice(0, 200)} ${how}${said && `: ${said}`}`);
    this.status = status;
    this.stderr = stderr;
  }
}

/** Characters of stderr that are kept for an error: its end, where the reason stands. */
const STDERR_KEPT = 8192;

function startError(program: string, error: NodeJS.ErrnoException): BladerootError {
  if (error.code === 'ENOENT') {
    return new BladerootError('PROGRAM_MISSING', `the program ${program} is not installed`, { cause: error });
  }
  return new BladerootError('PROGRAM_FAILED', `${program} could not be started: ${error.message}`, {
    cause: error,
  });
}

function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason));
}
