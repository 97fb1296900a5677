/** Which contents of files are new in a tree, and how small plain zstd makes them together. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { LEVEL } from '../src/store/frame.ts';
import { run } from '../src/system/run.ts';
import { perform, script } from './command.ts';

/** A path for each content, by its SHA-256. */
export type Contents = Map<string, string>;

/** The contents of the regular files below a directory, each once. */
export async function contentsOf(root: string, signal: AbortSignal): Promise<Contents> {
  const { stdout } = await run('find', [root, '-xdev', '-type', 'f', '-size', '+0', '-print0'], { signal });
  const contents: Contents = new Map();
  for (const path of stdout.split('\0').filter(Boolean).sort()) {
    const hash = createHash('sha256');
    await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash, { signal });
    const digest = hash.digest('hex');
    if (!contents.has(digest)) contents.set(digest, path);
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
