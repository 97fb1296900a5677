import { fileURLToPath } from 'node:url';
import { startPiped } from '../../src/system/run.ts';
import { text } from 'node:stream/consumers';

/** The program itself, as a person calls it. */
export const BLADEROOT = fileURLToPath(new URL('../../bin/bladeroot', import.meta.url));

export interface Place {
  state: string;
  fleet: string;
}

export interface CallOptions {
  signal: AbortSignal;
  /** Each line of stderr, as it comes. */
  onLine(line: string): void;
}

export function placeArgs({ state, fleet }: Place): string[] {
  return ['--state', state, '--fleet', fleet];
}

/** Runs `bladeroot NOUN VERB ... --json` in a place and returns what it printed, parsed. Fails as `run` does. */
export async function bladeroot(
  place: Place,
  args: string[],
  { signal, onLine }: CallOptions,
): Promise<unknown> {
  const onStderr = (said: string): void => {
    for (const line of said.split('\n')) if (line.trim() !== '') onLine(line.trimEnd());
  };
  const child = startPiped(BLADEROOT, [...args, '--json', ...placeArgs(place)], { signal, onStderr });
  child.stdin.end();
  const [printed] = await Promise.all([text(child.stdout), child.done]);
  return JSON.parse(printed);
}
