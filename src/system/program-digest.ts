import { createHash } from 'node:crypto';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isBundled, programDirectory } from './asset.ts';

/** Another one when the program may do something in another way: of its sources their sizes and times, of a bundle its bytes. */
export async function programDigest(): Promise<string> {
  const hash = createHash('sha256');
  const names = (await readdir(programDirectory, { recursive: !isBundled })).sort();
  const sources = names.filter((path) => /\.[cm]?[jt]s$/.test(path));
  // Among the sources lie no libraries: which they are, package.json says.
  for (const name of isBundled ? sources : [...sources, '../package.json']) {
    const path = join(programDirectory, name);
    const { size, mtimeMs } = await lstat(path);
    hash.update(`${name}\n`);
    hash.update(isBundled ? await readFile(path) : `${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}
