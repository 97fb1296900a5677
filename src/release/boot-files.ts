/** What a root hands to machines before there is an agent: kernels, initrds and loaders, and whether they are there. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BladerootError, errorCode } from '../errors.ts';
import { blobPath } from '../store/layout.ts';
import type { Blob, ReleaseStatement } from './statement.ts';

/**
 * The boot files of a release that a store lacks, in words, with their paths; also those that are cut off. By their sizes:
 * `snapshot verify` reads every byte.
 */
export async function lackingBootFiles(storeDirectory: string, release: ReleaseStatement): Promise<string[]> {
  const lacking: string[] = [];
  for (const [name, { digest, bytes }] of bootFiles(release)) {
    const path = join(storeDirectory, blobPath(digest));
    const size = await sizeOf(path);
    if (size === undefined) lacking.push(`${name} (${path}) is missing`);
    else if (size !== bytes) lacking.push(`${name} (${path}) has ${size} bytes and not ${bytes}`);
  }
  return lacking;
}

/** @throws BladerootError `RELEASE_NOT_WHOLE` that names what is missing, and where it can be had */
export async function requireBootFiles(storeDirectory: string, release: ReleaseStatement): Promise<void> {
  const lacking = await lackingBootFiles(storeDirectory, release);
  if (lacking.length === 0) return;
  const what = `release ${release.sequence} cannot be served: ${lacking.join('; ')}`;
  throw new BladerootError('RELEASE_NOT_WHOLE', what, { hint: MEND_BOOT_FILES });
}

/** For people, wherever such files are found missing. */
export const MEND_BOOT_FILES =
  'fetch them from a store that has them, another root or a backup: `bladeroot snapshot verify --repair-from http://OTHER:8067/store` (or a directory); or make them anew: `bladeroot release publish`';

/** By the names that people know them by. */
function bootFiles({ kernel, initrd, loaders, blades }: ReleaseStatement): Map<string, Blob> {
  const pins = new Map(blades.flatMap(({ pin }) => (pin === undefined ? [] : [[pin.release, pin]])));
  return new Map([
    ['kernel', kernel],
    ['initrd', initrd],
    ...Object.entries(loaders),
    ...[...pins].flatMap(([number, pin]): [string, Blob][] => [
      [`kernel of release ${number}, to which blades are pinned,`, pin.kernel],
      [`initrd of release ${number}, to which blades are pinned,`, pin.initrd],
    ]),
  ]);
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
