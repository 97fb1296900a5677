import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { run } from '../../system/run.ts';

/** A directory that goes with the test. */
export async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-image-'));
  t.after(async () => await remove(directory));
  return directory;
}

/** Removes a directory with all that is in it, also below paths that are too long for Node. */
export async function remove(directory: string): Promise<void> {
  await run('rm', ['--recursive', '--force', directory]);
}
