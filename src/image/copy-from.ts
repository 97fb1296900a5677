import type { FileEntry } from './manifest.ts';
import { TreeRoot } from './tree-root.ts';
import type { FileTarget, UnpackResult, UnpackTask } from './unpack-worker.ts';

const FILES_AT_ONCE = 32;

/**
 * Copies files from the same paths of another directory, as far as what is there hashes to what they are to be: that may
 * change meanwhile, and need not be what it seems to be.
 * @param run has a thread do it
 * @returns the files that could not be had there
 */
export async function copyFrom(
  directory: string,
  files: readonly FileEntry[],
  targetOf: (file: FileEntry) => FileTarget,
  run: (task: UnpackTask) => Promise<UnpackResult>,
): Promise<FileEntry[]> {
  const root = new TreeRoot(directory);
  try {
    const tasks: Promise<UnpackResult>[] = [];
    for (let i = 0; i < files.length; i += FILES_AT_ONCE) {
      const some = files.slice(i, i + FILES_AT_ONCE).map((file) => ({
        from: root.at(file.path),
        file: targetOf(file),
        objects: file.objects,
      }));
      tasks.push(run({ kind: 'copy', files: some }));
    }
    const results = await Promise.all(tasks);
    const copied = results.flatMap((result) => (result.kind === 'compared' ? result.same : []));
    return files.filter((_, i) => copied[i] !== true);
  } finally {
    root.close();
  }
}
