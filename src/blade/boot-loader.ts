/** The blade's own boot loader: GRUB on its own disk, for BIOS and UEFI alike, with all that it reads on the ESP. */
import { copyFile, mkdir, open, readFile, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { BladerootError } from '../errors.ts';
import type { Blob, ReleaseStatement } from '../release/statement.ts';
import { sha256 } from '../store/digest.ts';
import type { Store } from '../store/store.ts';
import { run } from '../system/run.ts';
import { syncDirectory, writeFileAtomic } from '../system/write-file.ts';
import type { Slot } from './state.ts';
import { exists, readIfThere } from '../system/read-file.ts';

const ESP = '/boot/efi';
const GRUB_CONFIG = join(ESP, 'grub/grub.cfg');

const PLATFORMS = [
  { target: 'i386-pc', options: [] },
  // --removable: the path that every UEFI firmware tries, so that a disk may move to another machine.
  { target: 'x86_64-efi', options: ['--removable', '--no-nvram'] },
] as const;

export interface BootLoaderRequest {
  store: Store;
  release: ReleaseStatement;
  kernelArgs: string[];
  /** The slot that is running, and from now on started from the disk. */
  slot: Slot;
}

/**
 * Puts kernel and initrd of the running slot on the ESP, GRUB beside them and into the disk's boot sector. What is right
 * already is not written again.
 * @returns whether GRUB itself had to be installed
 */
export async function installBootLoader(request: BootLoaderRequest): Promise<boolean> {
  const { store, release, slot } = request;
  const directory = join(ESP, 'bladeroot', slot);
  await mkdir(directory, { recursive: true });
  await placeBlob(store, release.kernel, join(directory, 'vmlinuz'));
  await placeBlob(store, release.initrd, join(directory, 'initrd'));

  await mkdir(join(ESP, 'grub'), { recursive: true });
  const config = grubConfig(slot, request.kernelArgs);
  if ((await readIfThere(GRUB_CONFIG)) !== config) await writeFileAtomic(GRUB_CONFIG, config);

  const disk = await diskOf(ESP);
  let installed = false;
  for (const { target, options } of PLATFORMS) {
    // grub-install's own files do not show that it came to its end: the boot sector is the last that it writes.
    const proof = join(ESP, `grub/${target}.installed`);
    if (await exists(proof)) continue;
    const paths = [`--boot-directory=${ESP}`, `--efi-directory=${ESP}`];
    await run('grub-install', [`--target=${target}`, ...paths, ...options, disk]);
    await run('sync', ['--file-system', ESP]);
    await writeFileAtomic(proof, '');
    installed = true;
  }
  return installed;
}

/** GRUB has its root on the ESP, from where it reads this file. */
export function grubConfig(slot: Slot, kernelArgs: string[]): string {
  const from = `/bladeroot/${slot}`;
  return [
    '# Written by bladeroot; changes are lost.',
    'set default=0',
    'set timeout=1',
    `menuentry "bladeroot: slot ${slot}" {`,
    `  linux ${from}/vmlinuz bladeroot.slot=${slot} ${kernelArgs.map(quote).join(' ')}`.trimEnd(),
    `  initrd ${from}/initrd`,
    '}',
    '',
  ].join('\n');
}

/** GRUB's shell: within single quotes nothing is special but the quote itself. */
function quote(word: string): string {
  return /^[\w./:=,@+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** FAT has no journal: aside, synced and renamed, so that a name always has the whole file. */
async function placeBlob(store: Store, blob: Blob, path: string): Promise<void> {
  if (await holds(path, blob)) return;
  const aside = `${path}.new`;
  await copyFile(store.blobPath(blob.digest), aside);
  if (!(await holds(aside, blob))) {
    throw new BladerootError('BLOB_DAMAGED', `blob ${blob.digest} in ${store.directory} is damaged`, {
      hint: 'remove it and blade.json, then boot from the network: the blade is deployed again',
    });
  }
  const file = await open(aside, 'r+');
  await file.sync();
  await file.close();
  await rename(aside, path);
  await syncDirectory(dirname(path));
}

async function holds(path: string, blob: Blob): Promise<boolean> {
  const there = await stat(path).catch(() => undefined);
  return there?.size === blob.bytes && sha256(await readFile(path)) === blob.digest;
}

const lsblkSchema = z.object({ blockdevices: z.array(z.object({ path: z.string(), type: z.string() })) });

/** The disk that a mounted file system lies on. */
async function diskOf(mountPoint: string): Promise<string> {
  const { stdout: source } = await run('findmnt', ['--noheadings', '--output', 'SOURCE', mountPoint]);
  const { stdout } = await run('lsblk', [
    '--json',
    '--inverse',
    '--output',
    'PATH,TYPE',
    '--list',
    source.trim(),
  ]);
  const disk = lsblkSchema.parse(JSON.parse(stdout)).blockdevices.find(({ type }) => type === 'disk');
  if (disk === undefined) throw new Error(`${source.trim()} lies on no disk`);
  return disk.path;
}
