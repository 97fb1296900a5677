import { pipeline } from 'node:stream/promises';
import { startPiped } from '../system/run.ts';

/**
 * GNU tar writes: Node cannot make devices, set xattrs, or set times to the nanosecond. `--absolute-names` keeps tar from
 * putting placeholders where symbolic links will be; the caller has made sure that no member's path leads out.
 */
const TAR_ARGS = [
  '--extract',
  '--file=-',
  '--xattrs',
  '--xattrs-include=*',
  '--same-owner',
  '--numeric-owner',
  '--same-permissions',
  '--delay-directory-restore',
  '--absolute-names',
  '--warning=no-timestamp',
];

/**
 * Unpacks a tar archive, as it comes, into a directory.
 * @param stop aborted when something fails, so that what feeds the archive does not wait on
 * @throws what the archive's stream throws, or BladerootError `PROGRAM_FAILED` with what tar said (a full disk, say)
 */
export async function extractTar(
  directory: string,
  archive: AsyncIterable<Buffer>,
  stop: AbortController,
): Promise<void> {
  const tar = startPiped('tar', [...TAR_ARGS, `--directory=${directory}`], {
    env: { LC_ALL: 'C', TAR_OPTIONS: '' },
    signal: stop.signal,
  });
  tar.stdout.resume();
  // What fails first is the reason; it makes the other end of the pipe fail as well.
  let failure: { reason: unknown } | undefined;
  const fail = (reason: unknown): void => {
    failure ??= { reason };
    stop.abort(reason);
  };
  tar.done.catch(fail);
  const watched = async function* (): AsyncGenerator<Buffer> {
    try {
      yield* batched(archive);
    } catch (reason) {
      fail(reason);
      throw reason;
    }
  };
  const [fed] = await Promise.allSettled([pipeline(watched(), tar.stdin), tar.done]);
  if (failure !== undefined) throw failure.reason;
  if (fed.status === 'rejected') throw fed.reason;
}

/** Headers and small files are written to tar together, as many small writes are slow; bytes. */
const BATCH = 64 * 1024;

async function* batched(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    if (size > 0 && size + chunk.length > BATCH) {
      yield Buffer.concat(waiting, size);
      waiting = [];
      size = 0;
    }
    if (chunk.length >= BATCH) {
      yield chunk;
    } else {
      waiting.push(chunk);
      size += chunk.length;
    }
  }
  if (size > 0) yield Buffer.concat(waiting, size);
}
