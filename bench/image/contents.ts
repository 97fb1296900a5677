/** Which contents of files are new in a tree, and how small plain zstd makes them together. */
import { LEVEL } from '../../src/store/frame.ts';
import { perform, script } from './command.ts';

/** A path for each content, by its SHA-256. */
export type Contents = Map<string, string>;

/** The contents of the regular files below a directory, each once, in the order of their first paths. */
export async function contentsOf(root: string, signal: AbortSignal): Promise<Contents> {
  const files = 'find "$1" -xdev -type f -size +0 -print0 | LC_ALL=C sort --zero-terminated';
  const sums = script(`${files} | xargs --null --no-run-if-empty sha256sum --zero --`, [root]);
  const { stdout } = await perform(sums, { signal });
  const contents: Contents = new Map();
  for (const line of stdout.split('\0').filter(Boolean)) {
    const digest = line.slice(0, 64);
    // Behind the digest are two characters that are no part of the path.
    if (!contents.has(digest)) contents.set(digest, line.slice(66));
  }
  return contents;
}

/** Bytes of the contents that only `after` has, one after the other in the order of their paths, as one zstd stream. */
export async function compressedChanges(
  before: Contents,
  after: Contents,
  signal: AbortSignal,
): Promise<number> {
  const changed = [...after].filter(([digest]) => !before.has(digest)).map(([, path]) => path);
  const together = script(`xargs --null --no-run-if-empty cat -- | zstd -q -${LEVEL} -c | wc -c`);
  const { stdout } = await perform(together, { input: changed.join('\0'), signal });
  return Number(stdout);
}
