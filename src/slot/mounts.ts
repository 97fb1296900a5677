import { mkdir, open, readFile } from 'node:fs/promises';
import { BladerootError, describeError } from '../errors.ts';
import { syncFileSystem } from '../system/posix.ts';
import { run } from '../system/run.ts';

/**
 * Mounts a file system, anew where something is mounted there: a step that is tried again may find its last try.
 * @param how its type, ext4 where it is not given, and options of mount(8)
 */
export async function mountOnce(
  device: string,
  directory: string,
  { type = 'ext4', options = 'rw' }: { type?: string; options?: string } = {},
): Promise<void> {
  await unmountIfMounted(directory);
  await mkdir(directory, { recursive: true });
  await run('mount', ['-t', type, '-o', options, device, directory]);
}

export async function unmountIfMounted(directory: string): Promise<void> {
  const mounts = await readFile('/proc/mounts', 'utf8');
  if (mounts.split('\n').some((line) => line.split(' ')[1] === directory)) await run('umount', [directory]);
}

/**
 * Unmounts a file system that was written: all of it is on the disk then, also while another mount namespace has it mounted.
 * @throws BladerootError `SLOT_DAMAGED` when the disk has not taken all of it
 */
export async function flushAndUnmount(directory: string): Promise<void> {
  const top = await open(directory);
  try {
    syncFileSystem(top.fd);
  } catch (error) {
    const message = `the disk does not take all that is written to ${directory}: ${describeError(error)}`;
    throw new BladerootError('SLOT_DAMAGED', message, {
      hint: 'look at `dmesg` for errors of the disk, and replace it',
      cause: error,
    });
  } finally {
    await top.close();
  }
  await run('umount', [directory]);
}
