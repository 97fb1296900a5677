/** The blade's own boot loader: GRUB on its own disk, for BIOS and UEFI alike, with all that it reads on the ESP. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { exists, readIfThere } from '../system/read-file.ts';
import { run } from '../system/run.ts';
import { writeFileAtomic } from '../system/write-file.ts';
import { diskOf } from './disk-of.ts';
import { grubConfig, GRUB_DIRECTORY } from './grub/config.ts';

const PLATFORMS = [
  { target: 'i386-pc', options: [] },
  // --removable: the path that every UEFI firmware tries, so that a disk may move to another machine.
  { target: 'x86_64-efi', options: ['--removable', '--no-nvram'] },
] as const;

/**
 * Puts GRUB and its configuration on the ESP and into the disk's boot sector. What is right already is not written again.
 * @param esp where the ESP is mounted
 * @returns whether GRUB itself had to be installed
 */
export async function installBootLoader(esp: string): Promise<boolean> {
  const directory = join(esp, GRUB_DIRECTORY);
  await mkdir(directory, { recursive: true });
  const config = grubConfig();
  const configPath = join(directory, 'grub.cfg');
  if ((await readIfThere(configPath)) !== config) await writeFileAtomic(configPath, config);

  let installed = false;
  for (const { target, options } of PLATFORMS) {
    // grub-install's own files do not show that it came to its end: the boot sector is the last that it writes.
    const proof = join(directory, `${target}.installed`);
    if (await exists(proof)) continue;
    const paths = [`--boot-directory=${esp}`, `--efi-directory=${esp}`];
    await run('grub-install', [`--target=${target}`, ...paths, ...options, await diskOf(esp)]);
    await run('sync', ['-f', esp]);
    await writeFileAtomic(proof, '');
    installed = true;
  }
  return installed;
}
