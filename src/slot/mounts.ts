import { mkdir, readFile } from 'node:fs/promises';
import { run } from '../system/run.ts';

/**
 * Mounts an ext4 file system, anew where something is mounted there: a step that is tried again may find its last try.
 * @param how options of mount(8)
 */
export async function mountOnce(device: string, directory: string, how = 'rw'): Promise<void> {
  await unmountIfMounted(directory);
  await mkdir(directory, { recursive: true });
  await run('mount', ['-t', 'ext4', '-o', how, device, directory]);
}

export async function unmountIfMounted(directory: string): Promise<void> {
  const mounts = await readFile('/proc/mounts', 'utf8');
  if (mounts.split('\n').some((line) => line.split(' ')[1] === directory)) await run('umount', [directory]);
}
