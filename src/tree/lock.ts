import { once } from 'node:events';
import { BladerootError } from '../errors.ts';
import { ProgramFailed, startPiped } from '../system/run.ts';

/** flock's exit status when somebody else has the lock. */
const CONFLICT = 75;

/**
 * Holds the lock of a tree: nothing packs it while it is changed, nothing changes it while it is packed.
 * The lock hangs on a child process and so is gone with this process, however that ends.
 * @param path the tree's directory, on which the lock is; or a file, which is made, for a tree that is to come
 * @returns what releases it.
 * @throws BladerootError `TREE_BUSY`
 */
export async function lockTree(path: string): Promise<() => Promise<void>> {
  const holder = startPiped('sh', [
    '-c',
    // Ctrl-C is meant for the command that runs in the tree; the lock is held until that has ended.
    'trap "" INT QUIT && exec flock "$@"',
    'flock',
    '--exclusive',
    '--nonblock',
    '--conflict-exit-code',
    String(CONFLICT),
    path,
    'sh',
    '-c',
    'echo locked && exec cat',
  ]);
  try {
    await Promise.race([once(holder.stdout, 'data'), holder.done]);
  } catch (error) {
    if (!(error instanceof ProgramFailed) || error.status !== CONFLICT) throw error;
    throw new BladerootError('TREE_BUSY', `the tree ${path} is in use by another bladeroot command`, {
      hint: 'let that finish (a shell in the tree counts), then try again',
      cause: error,
    });
  }
  return async () => {
    holder.stdin.end();
    await holder.done;
  };
}
