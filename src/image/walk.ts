import { lstat, readdir } from 'node:fs/promises';
import { BladerootError, errorCode } from '../errors.ts';
import { toBytes, type BytePath } from './byte-path.ts';
import { LEFTOVERS, matcherOf } from './leftovers.ts';

export interface WalkOptions {
  /** Patterns of paths to leave out, with all that is below them; see `matcherOf`. */
  exclude?: readonly string[];
  signal?: AbortSignal | undefined;
}

/**
 * The paths of all that belongs to the image of a tree, in the order of their bytes. File systems mounted below it are
 * not entered; sockets, which only mean something to the process that made them, and leftovers are left out.
 * @throws BladerootError `TREE_MISSING`
 */
export async function walkTree(directory: string, options: WalkOptions = {}): Promise<BytePath[]> {
  const excluded = matcherOf(options.exclude ?? []);
  const leftoverFile = matcherOf(LEFTOVERS.files);
  const leftEmpty = matcherOf(LEFTOVERS.contents);
  const root = Buffer.from(directory);
  const device = await rootDevice(directory);

  const paths: BytePath[] = [''];
  const directories: BytePath[] = [''];
  for (let path = directories.pop(); path !== undefined; path = directories.pop()) {
    options.signal?.throwIfAborted();
    const full = path === '' ? root : Buffer.concat([root, SLASH, toBytes(path)]);
    if ((await lstat(full)).dev !== device) continue;
    for (const entry of await readdir(full, { withFileTypes: true, encoding: 'latin1' })) {
      const below = path === '' ? entry.name : `${path}/${entry.name}`;
      if (excluded(below) || entry.isSocket() || (entry.isFile() && leftoverFile(below))) continue;
      paths.push(below);
      if (entry.isDirectory() && !leftEmpty(below)) directories.push(below);
    }
  }
  return paths.sort();
}

const SLASH = Buffer.from('/');

async function rootDevice(directory: string): Promise<number> {
  try {
    const stat = await lstat(directory);
    if (stat.isDirectory()) return stat.dev;
  } catch (error) {
    if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'ENOTDIR') throw error;
  }
  throw new BladerootError('TREE_MISSING', `${directory} is not a directory`);
}
