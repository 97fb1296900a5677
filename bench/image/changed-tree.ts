/** Trees that are another one with something done to it. */
import { open, readFile, type FileHandle } from 'node:fs/promises';
import { run } from '../../src/system/run.ts';
import { copyTo } from '../folder.ts';

/** One of so many files is changed: 5 %. */
const ONE_OF = 20;
/** So many of the largest are left as they are, so that in these trees 5 % of the bytes are changed as well. */
const LARGEST_LEFT = 6;

/**
 * Copies a tree and gives every twentieth of its files, in the order of size, a new content: that of the next larger
 * one, with a line in front of it. So it is real content, files of all sizes are among it, and no old version helps.
 * @returns how much was changed
 */
export async function changeFivePercent(
  tree: string,
  to: string,
  signal: AbortSignal,
): Promise<{ files: number; bytes: number }> {
  await copyTo(tree, to, signal);
  const bySize = await filesBySize(to, signal);
  const changed = { files: 0, bytes: 0 };
  for (let at = bySize.length - 1 - LARGEST_LEFT; at >= 0; at -= ONE_OF) {
    const [path, next] = bySize.slice(at, at + 2);
    if (path === undefined || next === undefined) break;
    const content = Buffer.concat([Buffer.from('# changed\n'), await readFile(next, { signal })]);
    // In place: mode, owner and links stay.
    await using file = await open(path, 'r+');
    await file.truncate();
    await file.writeFile(content);
    changed.files++;
    changed.bytes += content.length;
  }
  return changed;
}

/** Copies a tree and gives everything in it the time of now. */
export async function touchAll(tree: string, to: string, signal: AbortSignal): Promise<void> {
  await copyTo(tree, to, signal);
  await run('find', [to, '-xdev', '-exec', 'touch', '--no-dereference', '{}', '+'], { signal });
}

/** Fills a file with `size` bytes, taken of the largest files of a tree, behind `prefix`. */
export async function largeFile(
  tree: string,
  path: string,
  { size, prefix, signal }: { size: number; prefix: string; signal: AbortSignal },
): Promise<void> {
  await using file = await open(path, 'w');
  await file.writeFile(prefix);
  let missing = size;
  for (const from of (await filesBySize(tree, signal)).reverse()) {
    if (missing === 0) return;
    missing -= await append(file, from, missing);
  }
}

async function append(file: FileHandle, from: string, most: number): Promise<number> {
  const content = (await readFile(from)).subarray(0, most);
  await file.writeFile(content);
  return content.length;
}

/** Paths of the files below a directory that are not empty and have one name only, smallest first. */
async function filesBySize(root: string, signal: AbortSignal): Promise<string[]> {
  const args = [root, '-xdev', '-type', 'f', '-links', '1', '-size', '+0', '-printf', '%s %p\\0'];
  const { stdout } = await run('find', args, { signal });
  return stdout
    .split('\0')
    .filter(Boolean)
    .map((line) => ({ size: Number.parseInt(line, 10), path: line.slice(line.indexOf(' ') + 1) }))
    .sort((a, b) => a.size - b.size || (a.path < b.path ? -1 : 1))
    .map(({ path }) => path);
}
