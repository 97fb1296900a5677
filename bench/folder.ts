/** Trees of a hundred thousand files are removed and copied by programs: Node takes three times as long. */
import { mkdir } from 'node:fs/promises';
import { run } from '../src/system/run.ts';

export async function remove(path: string): Promise<void> {
  await run('rm', ['--recursive', '--force', '--one-file-system', path]);
}

/** Makes a directory, or makes it empty. */
export async function empty(directory: string): Promise<void> {
  await remove(directory);
  await mkdir(directory, { recursive: true });
}

/** An exact copy, in place of whatever is at `to`. */
export async function copyTo(from: string, to: string, signal: AbortSignal): Promise<void> {
  await remove(to);
  await run('cp', ['--archive', from, to], { signal });
}
