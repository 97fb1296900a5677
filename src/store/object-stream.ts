import { BladerootError, describeError } from '../errors.ts';
import { ByteReader } from './byte-reader.ts';
import type { Digest } from './digest.ts';
import { decompressFrame, FRAMES_AHEAD } from './frame.ts';
import { mapAhead } from './map-ahead.ts';
import type { PackIndex } from './pack-index.ts';

export interface PackObject {
  digest: Digest;
  size: number;
  /** Its content, whose digest the reader checks; to be read before the next object is asked for, or left. */
  content: AsyncIterable<Buffer>;
}

/**
 * The objects of a pack, in order, out of its pieces: while one is being used the next frames are being fetched and
 * decompressed. No more than a few frames are in memory, whatever the size of an object.
 * @throws BladerootError `PACK_DAMAGED`, and what the pieces throw
 */
export async function* readObjects(
  index: PackIndex,
  pieces: AsyncIterable<Buffer>,
): AsyncGenerator<PackObject> {
  const contents = mapAhead(cutFrames(index, pieces), FRAMES_AHEAD, async ({ bytes, size }) => {
    try {
      return await decompressFrame(bytes, size);
    } catch (error) {
      throw damaged(describeError(error));
    }
  });
  const reader = new ByteReader(contents, (missing) => damaged(`${missing} bytes are missing`));
  try {
    for (const { digest, size } of index.objects) {
      let left = size;
      yield {
        digest,
        size,
        content: counted(reader.chunks(size), (bytes) => (left -= bytes)),
      };
      await reader.skip(left);
    }
    // The pieces are read to their very end, so that a mirror knows that it has them all.
    await reader.atEnd();
  } finally {
    await reader.close();
  }
}

async function* cutFrames(
  index: PackIndex,
  pieces: AsyncIterable<Buffer>,
): AsyncGenerator<{ bytes: Buffer; size: number }> {
  const reader = new ByteReader(pieces, (missing) => damaged(`${missing} bytes are missing`));
  try {
    for (const { bytes, size } of index.frames) yield { bytes: await reader.read(bytes), size };
    await reader.atEnd();
  } finally {
    await reader.close();
  }
}

async function* counted(
  chunks: AsyncIterable<Buffer>,
  count: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    count(chunk.length);
    yield chunk;
  }
}

function damaged(why: string): BladerootError {
  return new BladerootError('PACK_DAMAGED', `a pack does not hold what its index says: ${why}`);
}
