import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { errorCode } from '../errors.ts';
import { startPiped } from '../system/run.ts';
import { lockTree } from './lock.ts';

async function treePath(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-lock-'));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  return join(directory, 'tree');
}

test('whoever comes second gets TREE_BUSY, and the lock once the first has let go', async (t) => {
  const tree = await treePath(t);
  const unlock = await lockTree(tree);
  await assert.rejects(lockTree(tree), { code: 'TREE_BUSY', message: new RegExp(tree) });
  await (
    await lockTree(`${tree}2`)
  )();
  await unlock();
  const again = await lockTree(tree);
  await again();
});

test('the lock of a process that is killed is free', async (t) => {
  const tree = await treePath(t);
  const lock = new URL('lock.ts', import.meta.url).href;
  const holder = startPiped(process.execPath, [
    '--input-type=module',
    '--eval',
    `import { lockTree } from ${JSON.stringify(lock)};
     await lockTree(${JSON.stringify(tree)});
     process.stdout.write('locked');
     setInterval(() => undefined, 1000);`,
  ]);
  await Promise.race([once(holder.stdout, 'data'), holder.done]);
  await assert.rejects(lockTree(tree), { code: 'TREE_BUSY' });
  holder.kill('SIGKILL');
  await assert.rejects(holder.done, { code: 'PROGRAM_FAILED' });
  // What held it for the process ends a moment later.
  const deadline = performance.now() + 5000;
  for (;;) {
    try {
      await (
        await lockTree(tree)
      )();
      return;
    } catch (error) {
      if (errorCode(error) !== 'TREE_BUSY' || performance.now() > deadline) throw error;
    }
  }
});
