/** For tests: the real command line, in a child process with a state directory and a fleet folder of its own. */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { folderOf } from '../src/fleet/folder.fixture.ts';

const PEAK_MEMORY = fileURLToPath(new URL('../src/image/testing/peak-memory.py', import.meta.url));
export const PROGRAM = fileURLToPath(new URL('../bin/bladeroot', import.meta.url));

export interface Ended {
  status: number | null;
  stdout: string;
  stderr: string;
}

export interface Place {
  /** The state directory. */
  state: string;
  /** The fleet folder. */
  fleet: string;
  /** Runs `bladeroot` to its end; as in a shell, but for what is in `namespace`, a network namespace. */
  bladeroot(args: string[], namespace?: string): Promise<Ended>;
  /** Starts it, and comes back as soon as it has said something on stderr, or has ended. */
  saying(args: string[], said: RegExp): Promise<{ end: Promise<Ended> }>;
  /** Starts it, and kills it (SIGKILL) after as many milliseconds, unless it has ended by then. */
  killed(args: string[], after: number): Promise<Ended>;
  /** Runs it to its end; `peakMemory` is the most that it had in memory (RSS), in bytes. */
  measured(args: string[]): Promise<Ended & { peakMemory: number }>;
}

/** A place with a fleet folder of these files; the state directory is not there yet. */
export async function place(t: TestContext, fleetFiles: Record<string, string> = {}): Promise<Place> {
  const directory = await folderOf(t, {});
  const state = join(directory, 'state');
  const fleet = await folderOf(t, fleetFiles);
  const env = {
    ...process.env,
    BLADEROOT_STATE: state,
    BLADEROOT_FLEET: fleet,
    // Starting takes half the time from the second run on.
    NODE_COMPILE_CACHE: join(directory, 'compiled'),
  };
  const start = (args: string[], ...through: string[]): ChildProcessByStdio<null, Readable, Readable> => {
    const [program = PROGRAM, ...rest] = [...through, PROGRAM, ...args];
    return spawn(program, rest, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  };
  return {
    state,
    fleet,
    async bladeroot(args, namespace) {
      const through = namespace === undefined ? [] : ['ip', 'netns', 'exec', namespace];
      return await toEnd(start(args, ...through));
    },
    async measured(args) {
      const ended = await toEnd(start(args, 'python3', '-I', '-S', PEAK_MEMORY));
      const lines = ended.stdout.trimEnd().split('\n');
      const peakMemory = Number(lines.pop()) * 1024;
      return { ...ended, stdout: lines.join('\n'), peakMemory };
    },
    async saying(args, said) {
      const child = start(args);
      const ended: Ended = { status: null, stdout: '', stderr: '' };
      child.stdout.setEncoding('utf8').on('data', (text: string) => (ended.stdout += text));
      const end = once(child, 'close').then(([status]) => ({
        ...ended,
        status: typeof status === 'number' ? status : null,
      }));
      const heard = new Promise<void>((resolve) => {
        child.stderr.setEncoding('utf8').on('data', (text: string) => {
          ended.stderr += text;
          if (said.test(ended.stderr)) resolve();
        });
      });
      await Promise.race([heard, end]);
      return { end };
    },
    async killed(args, after) {
      const child = start(args);
      const timer = setTimeout(() => child.kill('SIGKILL'), after);
      try {
        return await toEnd(child);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

async function toEnd(child: ChildProcessByStdio<null, Readable, Readable>): Promise<Ended> {
  const [stdout, stderr, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  return { status: typeof status === 'number' ? status : null, stdout, stderr };
}
