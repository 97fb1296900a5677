/** What firmware and iPXE load, out of this machine's packages: a release carries it, so that every blade can be root. */
import { readFile } from 'node:fs/promises';
import { BladerootError, errorCode } from '../errors.ts';
import type { Store } from '../store/store.ts';
import type { Blob } from './statement.ts';

interface Loader {
  /** Where the packages of Debian and its relatives put it; the first that is there counts. */
  paths: string[];
  /** The Debian package without which there can be no release; undefined: left out where it is not installed. */
  requiredFrom?: string;
}

/** By the names under which they are served (boot/firmware.ts, boot/script.ts). */
const SOURCES: Record<string, Loader> = {
  'undionly.kpxe': { paths: ['/usr/lib/ipxe/undionly.kpxe'], requiredFrom: 'ipxe' },
  'snponly.efi': { paths: ['/usr/lib/ipxe/snponly.efi'], requiredFrom: 'ipxe' },
  // With drivers of its own, for firmware whose own driver does not do: to be named by hand, in another DHCP server.
  'ipxe.efi': { paths: ['/usr/lib/ipxe/ipxe.efi', '/boot/ipxe.efi'], requiredFrom: 'ipxe' },
  // Only newer packages have it.
  'ipxe-arm64.efi': { paths: ['/usr/lib/ipxe/ipxe-arm64.efi', '/boot/ipxe-arm64.efi'] },
  // The package memtest86+, since its version 6; a memory test is an entry of the menu where it is installed.
  'memtest.bin': { paths: ['/boot/memtest86+x64.bin'] },
  'memtest.efi': { paths: ['/boot/memtest86+x64.efi'] },
};

/**
 * Puts the loaders into the store. A promoted blade has no need of the packages: what they had stays as it was.
 * @param before the loaders of the release before
 * @throws BladerootError `NO_LOADER` that names the package to install
 */
export async function storeLoaders(
  store: Store,
  before: Readonly<Record<string, Blob>> = {},
  sources = SOURCES,
): Promise<Record<string, Blob>> {
  const loaders: Record<string, Blob> = {};
  for (const [name, { paths, requiredFrom }] of Object.entries(sources)) {
    const content = await readFirst(paths);
    const last = before[name];
    if (content !== undefined) {
      loaders[name] = { digest: await store.putBlob(content), bytes: content.length };
    } else if (last !== undefined && (await store.hasBlob(last.digest))) {
      loaders[name] = last;
    } else if (requiredFrom !== undefined) {
      throw new BladerootError('NO_LOADER', `the loader ${paths[0]} is missing on this machine`, {
        hint: `install the package ${requiredFrom}`,
      });
    }
  }
  return loaders;
}

async function readFirst(paths: string[]): Promise<Buffer | undefined> {
  for (const path of paths) {
    try {
      return await readFile(path);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
    }
  }
  return undefined;
}
