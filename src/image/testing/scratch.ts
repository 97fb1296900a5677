import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { run } from '../../system/run.ts';

/** A directory that goes with the test. */
export async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-image-'));
  t.after(async () => {
    for (const undo of toUndo.get(t)?.reverse() ?? []) await undo();
    await remove(directory);
  });
  return directory;
}

const toUndo = new WeakMap<TestContext, (() => Promise<void>)[]>();

/** Does something before the test's scratch directory is removed; node:test would do it afterwards. */
export function beforeRemoval(t: TestContext, undo: () => Promise<void>): void {
  const known = toUndo.get(t);
  if (known === undefined) toUndo.set(t, [undo]);
  else known.push(undo);
}

/** Removes a directory with all that is in it, also below paths that are too long for Node. */
export async function remove(directory: string): Promise<void> {
  await run('rm', ['--recursive', '--force', directory]);
}

/** Mounts something at a path in a scratch directory, as long as the test lasts. */
export async function mount(t: TestContext, path: string, args: string[]): Promise<void> {
  await run('mount', [...args, path]);
  beforeRemoval(t, async () => void (await run('umount', ['--lazy', path])));
}
