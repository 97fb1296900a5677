/** The file systems of slots. */
import { ProgramFailed, run } from '../system/run.ts';

export async function makeExt4(device: string, label: string): Promise<void> {
  const lazy = 'lazy_itable_init=1,lazy_journal_init=1';
  await run('mkfs.ext4', ['-q', '-F', '-m', '1', '-L', label, '-E', lazy, device]);
}

/** What e2fsck(8) ends with when it has mended something by itself: the file system is whole then. */
const MENDED = 1 | 2;

/** Has what a power cut leaves in a file system mended. @returns whether there is an ext4 file system, and it is whole */
export async function isWholeExt4(device: string, signal?: AbortSignal): Promise<boolean> {
  try {
    await run('e2fsck', ['-p', device], { signal });
    return true;
  } catch (error) {
    if (!(error instanceof ProgramFailed) || error.status === null) throw error;
    return (error.status & ~MENDED) === 0;
  }
}
