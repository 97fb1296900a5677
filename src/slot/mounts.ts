import { mkdir, readFile } from 'node:fs/promises';
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
