import { BladerootError, errorCode } from '../errors.ts';
import { ByteReader } from './byte-reader.ts';
import { sha256, type Digest } from './digest.ts';
import { fetchBytes, type FetchOptions } from './fetch.ts';
import { packIndexPath, packPath } from './layout.ts';
import { MirroredPack } from './mirrored-pack.ts';
import { MAX_INDEX_BYTES, parsePackIndex, PIECE_SIZE, pieceSize, type PackIndex } from './pack-index.ts';
import type { Source } from './source.ts';
import type { Store } from './store.ts';

export interface FetchPackOptions extends FetchOptions {
  /** Keeps the pack as well: what it holds of it already is not fetched again. */
  mirror?: Store | undefined;
}

export interface FetchedPack {
  index: PackIndex;
  /**
   * The pieces, each verified, in order; to be read once, and to its end for the mirror to hold the pack.
   * Throws BladerootError `PIECE_DAMAGED`, and what the source throws.
   */
  pieces: AsyncIterable<Buffer>;
}

/**
 * Fetches a pack: its index now, its pieces as they are read. With a mirror, a fetch that was interrupted resumes at
 * the first missing piece, and a pack that the mirror holds is read from there.
 * @throws BladerootError `PACK_INDEX_DAMAGED`, and what the source throws
 */
export async function fetchPack(
  source: Source,
  packId: Digest,
  options: FetchPackOptions = {},
): Promise<FetchedPack> {
  const { mirror } = options;
  const index = (await indexIn(mirror, packId)) ?? (await fetchIndex(source, packId, options));
  const pieces =
    mirror === undefined
      ? fetchPieces(source, packId, index, 0, options)
      : throughMirror(source, packId, index, mirror, options);
  return { index, pieces };
}

async function indexIn(mirror: Store | undefined, packId: Digest): Promise<PackIndex | undefined> {
  if (mirror === undefined || !(await mirror.hasPack(packId))) return undefined;
  try {
    return await mirror.readPackIndex(packId);
  } catch (error) {
    // What was damaged on this machine's disk is mended from the source.
    if (errorCode(error) !== 'PACK_INDEX_DAMAGED') throw error;
    await mirror.withdrawPack(packId);
    return undefined;
  }
}

async function fetchIndex(source: Source, packId: Digest, options: FetchOptions): Promise<PackIndex> {
  const path = packIndexPath(packId);
  const bytes = await fetchBytes(source, path, { ...options, maxBytes: MAX_INDEX_BYTES });
  return parsePackIndex(packId, bytes, source.name);
}

/** Pieces that the mirror holds first, then those of the source, which are written to the mirror. */
async function* throughMirror(
  source: Source,
  packId: Digest,
  index: PackIndex,
  mirror: Store,
  options: FetchPackOptions,
): AsyncGenerator<Buffer> {
  const mirrored = await MirroredPack.open(mirror, packId, index);
  try {
    let number = 0;
    for (; number < index.pieces.length; number++) {
      const piece = await mirrored.read(number);
      if (piece === undefined) break;
      yield piece;
    }
    for await (const piece of fetchPieces(source, packId, index, number, options)) {
      await mirrored.write(number++, piece);
      yield piece;
    }
    await mirrored.finish();
  } finally {
    await mirrored.close();
  }
}

async function* fetchPieces(
  source: Source,
  packId: Digest,
  index: PackIndex,
  first: number,
  { signal, onBytes }: FetchPackOptions,
): AsyncGenerator<Buffer> {
  if (first === index.pieces.length) return;
  const start = first * PIECE_SIZE;
  const reader = new ByteReader(
    await source.get(packPath(packId), { start, signal }),
    (missing) =>
      new BladerootError(
        'SOURCE_FAILED',
        `pack ${packId} from ${source.name} ended ${missing} bytes too early`,
      ),
  );
  try {
    for (const [i, digest] of index.pieces.slice(first).entries()) {
      const number = first + i;
      const piece = await reader.read(pieceSize(index, number));
      onBytes?.(piece.length);
      if (sha256(piece) !== digest) throw pieceDamaged(packId, number, source.name);
      yield piece;
    }
  } finally {
    await reader.close();
  }
}

function pieceDamaged(packId: Digest, number: number, from: string): BladerootError {
  return new BladerootError('PIECE_DAMAGED', `piece ${number} of pack ${packId} from ${from} is damaged`, {
    hint: 'it was not used; fetch it from another root or pack the tree again',
  });
}
