/** Commands of other programs: how they are written, and how they are run where nothing is measured. */
import { run, type RunResult } from '../../src/system/run.ts';
import { inNamespaces } from '../../src/tree/namespaces.ts';

/** A pipeline as one types it, which fails when any of its programs does; `args` are its `$1`, `$2`, … */
export function script(pipeline: string, args: string[] = []): string[] {
  return ['bash', '-c', `set -o pipefail; ${pipeline}`, 'bench', ...args];
}

/**
 * Runs a command to its end. It is in a PID namespace of its own, so that nothing of it outlives this process or an abort.
 * @throws BladerootError `PROGRAM_FAILED`, `PROGRAM_MISSING`
 */
export async function perform(
  command: string[],
  options: { input?: string; signal: AbortSignal },
): Promise<RunResult> {
  return await run(...inNamespaces(command), { ...options, killSignal: 'SIGKILL' });
}
