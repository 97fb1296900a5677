/** For tests: the real command line, in a child process with a state directory and a fleet folder of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { folderOf } from '../src/fleet/test-folder.ts';

const PROGRAM = fileURLToPath(new URL('../bin/bladeroot', import.meta.url));

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
  return {
    state,
    fleet,
    async bladeroot(args, namespace) {
      const [program = PROGRAM, ...before] =
        namespace === undefined ? [PROGRAM] : ['ip', 'netns', 'exec', namespace, PROGRAM];
      const child = spawn(program, [...before, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
      const [stdout, stderr, [status]] = await Promise.all([
        text(child.stdout),
        text(child.stderr),
        once(child, 'close'),
      ]);
      return { status: typeof status === 'number' ? status : null, stdout, stderr };
    },
  };
}
