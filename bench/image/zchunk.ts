/**
 * What zchunk would fetch. Its own tool compresses at a level that cannot be chosen, and takes a quarter of an hour for a
 * tree: it is asked for its chunks only, which do not depend on the level, and they are compressed here.
 */
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import { LEVEL } from '../../src/store/frame.ts';
import { run } from '../../src/system/run.ts';
import { perform, script } from './command.ts';
import { empty } from '../folder.ts';
import { TAR_EXACT } from './peers.ts';

const compress = promisify(zstdCompress);

interface Chunk {
  /** Of its content. */
  digest: string;
  /** Bytes from the start of the file, and the length. */
  start: number;
  length: number;
}

/** A tree as a tar archive, cut by zchunk. */
export interface Chunks {
  /** The zchunk file, its chunks not compressed. */
  file: string;
  /** Bytes of its header, the list of chunks, which is always fetched. */
  headerBytes: number;
  chunks: Chunk[];
}

/** Cuts a tree; `home` is made, and holds its chunks. */
export async function chunksOf(tree: string, home: string, signal: AbortSignal): Promise<Chunks> {
  await empty(home);
  const archive = join(home, 'tree.tar');
  const file = join(home, 'tree.zck');
  // Without times of reading and of change of status, which are another tree's in a copy.
  const exact = `--format=pax --pax-option=delete=atime,delete=ctime --sort=name ${TAR_EXACT}`;
  await perform(script(`tar -c ${exact} -C "$1" . >"$2"`, [tree, archive]), { signal });
  await perform(['zck', '--compression-format=none', `--output=${file}`, archive], { signal });
  await rm(archive);
  const { stdout } = await run('zck_read_header', ['--show-chunks', file], { signal });
  const headerBytes = Number(/^Header size: (\d+)$/m.exec(stdout)?.[1]);
  // number, digest, start, compressed size, size
  const lines = stdout.matchAll(/^ *\d+ ([0-9a-f]+) +(\d+) +(\d+) +\d+$/gm);
  const chunks = [...lines].map(([, digest = '', start, length]) => {
    return { digest, start: Number(start), length: Number(length) };
  });
  return { file, headerBytes, chunks };
}

/** Bytes to fetch for `after` where `before` is there, if anything is: the header, and each new chunk, compressed. */
export async function bytesToFetch(
  before: Chunks | undefined,
  after: Chunks,
  signal: AbortSignal,
): Promise<number> {
  const there = new Set(before?.chunks.map(({ digest }) => digest));
  const params = { [constants.ZSTD_c_compressionLevel]: LEVEL };
  await using file = await open(after.file);
  let bytes = after.headerBytes;
  for (const { digest, start, length } of after.chunks) {
    if (there.has(digest)) continue;
    there.add(digest);
    signal.throwIfAborted();
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, start);
    bytes += (await compress(buffer, { params })).length;
  }
  return bytes;
}
