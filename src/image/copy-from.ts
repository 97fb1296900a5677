import type { FileEntry } from './manifest.ts';
import type { TreeRoot } from './tree-root.ts';
import type { FileTarget } from './unpack-task.ts';
import type { UnpackThreads } from './unpack-threads.ts';

/**
 * Copies files from the same paths of another directory, as far as what is there hashes to what they are to be: that may
 * change meanwhile, and need not be what it seems to be.
 * @returns the files that could not be had there
 */
export async function copyFrom(
  root: TreeRoot,
  files: readonly FileEntry[],
  targetOf: (file: FileEntry) => FileTarget,
  threads: UnpackThreads,
): Promise<FileEntry[]> {
  const copied = await threads.copy(
    files.map((file) => ({ from: root.at(file.path), file: targetOf(file), objects: file.objects })),
  );
  return files.filter((_, i) => copied[i] !== true);
}
