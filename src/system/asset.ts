import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Whether this is the program as it was bundled into a tree, and not the sources. */
export const isBundled = !import.meta.url.endsWith('.ts');

/** `src` when run from the sources; the folder of the bundle in an installed program, where assets keep their paths. */
export const programDirectory = isBundled
  ? dirname(fileURLToPath(import.meta.url))
  : dirname(dirname(fileURLToPath(import.meta.url)));

/** Files that are no TypeScript and go with the program; the bundle takes just these along. */
export const ASSETS = [
  'initrd/init.sh',
  'initrd/udhcpc.sh',
  'tree/enter.sh',
  'tree/bladeroot.service',
  'tree/bladeroot-root.service',
  'tree/bladeroot.openrc',
  'tree/bladeroot-root.openrc',
] as const;

export type Asset = (typeof ASSETS)[number];

export function assetPath(asset: Asset): string {
  return join(programDirectory, asset);
}

export async function readAsset(asset: Asset): Promise<Buffer> {
  return await readFile(assetPath(asset));
}
