import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { follow } from './follow.ts';
import { stopProcess, type OwnedProcess, type ProcessEnd } from './process.ts';

/** A long-running program on one of the lab's hosts, such as a root's daemon. */
export class HostProgram {
  readonly name: string;
  readonly host: string;
  /** What it wrote to stdout, and to stderr. */
  readonly stdoutFile: string;
  readonly stderrFile: string;
  readonly #child: OwnedProcess;
  #lines: Promise<void> = Promise.resolve();

  constructor(name: string, host: string, files: { stdout: string; stderr: string }, child: OwnedProcess) {
    this.name = name;
    this.host = host;
    this.stdoutFile = files.stdout;
    this.stderrFile = files.stderr;
    this.#child = child;
  }

  running(): boolean {
    return this.#child.running();
  }

  /** Waits for its end, and until its last line has been handed on; rejects with what `onLine` threw, if it did. */
  async exited(signal?: AbortSignal): Promise<ProcessEnd> {
    const end = await this.#child.ended(signal);
    await this.#lines;
    return end;
  }

  /** Asks it to end, and kills it when it has not within `graceMs` milliseconds. */
  async stop(graceMs: number = 5000): Promise<ProcessEnd> {
    await stopProcess(this.#child, graceMs);
    return await this.exited();
  }

  /** Ends it without a warning, as a power cut of its host would. */
  async kill(): Promise<ProcessEnd> {
    this.#child.kill('SIGKILL');
    return await this.exited();
  }

  /** Hands on each line of stdout, from a byte offset on, until it ends or the signal is aborted. */
  watch(from: number, onLine: (line: string) => void, signal: AbortSignal): void {
    const over = new AbortController();
    const until = AbortSignal.any([over.signal, signal]);
    this.#child.ended(signal).then(
      () => over.abort(),
      () => over.abort(),
    );
    this.#lines = eachLine(this.stdoutFile, from, onLine, until);
    // `exited` tells; until somebody asks, the rejection is not unhandled.
    this.#lines.catch(() => undefined);
  }
}

/** The size of a file in bytes; it is made when it is not there yet. */
export async function sizeOf(path: string): Promise<number> {
  const file = await open(path, 'a');
  try {
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}

async function eachLine(
  file: string,
  from: number,
  onLine: (line: string) => void,
  until: AbortSignal,
): Promise<void> {
  for await (const line of createInterface({ input: Readable.from(follow(file, from, until)) })) onLine(line);
}
