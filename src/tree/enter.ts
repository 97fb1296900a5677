import { assetPath } from '../system/asset.ts';
import { runInteractive } from '../system/run.ts';
import { lockTree } from './lock.ts';
import { inNamespaces } from './namespaces.ts';

/**
 * Runs a command inside a tree, as root, on this process's terminal: in mount and PID namespaces of its own, with
 * /proc, /sys, /dev, /run and the machine's resolver. When it ends, or this process does, all that it started ends and
 * nothing stays mounted.
 * @param tree the directory. @param command program and arguments, as in the tree.
 * @returns the command's exit status.
 * @throws BladerootError `TREE_BUSY`
 */
export async function enterTree(tree: string, command: string[]): Promise<number> {
  const unlock = await lockTree(tree);
  try {
    return await runInteractive(...inNamespaces(['sh', assetPath('tree/enter.sh'), tree, ...command]));
  } finally {
    await unlock();
  }
}
