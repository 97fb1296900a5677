/** Puts back what a store has lost, from another store: nothing is replaced by what does not verify. */
import { open } from 'node:fs/promises';
import { errorCode } from '../errors.ts';
import { writeAt, type AsideFile } from './aside.ts';
import { checkPieces, type CheckOptions, type PackState } from './check-pack.ts';
import { sha256, type Digest } from './digest.ts';
import { DirectorySource } from './directory-source.ts';
import { compressPackIndex, encodePackIndex, PIECE_SIZE, pieceSize, type PackIndex } from './pack-index.ts';
import { PackReader } from './pack-reader.ts';
import type { Source } from './source.ts';
import type { Store } from './store.ts';

/**
 * Makes a pack whole: fetches its index if that is damaged or missing, and just the pieces that are. Until it is done
 * the pack stays as it was.
 * @throws BladerootError when the source does not have it whole
 */
export async function mendPack(
  store: Store,
  id: Digest,
  source: Source,
  options: CheckOptions = {},
): Promise<void> {
  const local = await openLocal(store, id);
  const reader = local?.from(source) ?? (await PackReader.open(source, id, options));
  const { index } = reader;
  const state = await checkPieces(store.packPath(id), index, options);
  if (state.damaged.length > 0 || state.bytes !== index.bytes) await rewrite(store, reader, state);
  if (local !== undefined) return;
  await store.putPackIndex(id, compressPackIndex(encodePackIndex(index)));
}

async function openLocal(store: Store, id: Digest): Promise<PackReader | undefined> {
  try {
    return await PackReader.open(new DirectorySource(store.directory), id);
  } catch (error) {
    const code = errorCode(error);
    if (code === 'PACK_INDEX_DAMAGED' || code === 'SOURCE_MISSING' || code === 'SOURCE_FAILED') {
      return undefined;
    }
    throw error;
  }
}

/** The sound pieces of what is here and the others of the source, in a file that then takes its place. */
async function rewrite(store: Store, reader: PackReader, state: PackState): Promise<void> {
  const aside = await store.createAside();
  try {
    if (state.bytes !== undefined) await copyPieces(store.packPath(reader.id), aside, reader.index, state);
    for await (const { number, bytes } of reader.pieces(state.damaged)) {
      await writeAt(aside.file, bytes, number * PIECE_SIZE);
    }
    await aside.commit(store.packPath(reader.id));
  } catch (error) {
    await aside.discard();
    throw error;
  }
}

async function copyPieces(
  path: string,
  aside: AsideFile,
  index: PackIndex,
  { damaged }: PackState,
): Promise<void> {
  const missing = new Set(damaged);
  const file = await open(path);
  try {
    for (const [number, digest] of index.pieces.entries()) {
      if (missing.has(number)) continue;
      const piece = Buffer.allocUnsafe(pieceSize(index, number));
      await file.read(piece, 0, piece.length, number * PIECE_SIZE);
      if (sha256(piece) !== digest) throw new Error(`${path} changes while it is read`);
      await writeAt(aside.file, piece, number * PIECE_SIZE);
    }
  } finally {
    await file.close();
  }
}
