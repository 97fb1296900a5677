/** Puts back what a store has lost, from another store: nothing is replaced by what does not verify. */
import { open } from 'node:fs/promises';
import { BladerootError, errorCode } from '../errors.ts';
import { writeAt, type AsideFile } from './aside.ts';
import { checkPieces, type CheckOptions, type PackState } from './check-pack.ts';
import { sha256, type Digest } from './digest.ts';
import { DirectorySource } from './directory-source.ts';
import { compressPackIndex, encodePackIndex, PIECE_SIZE, pieceSize, type PackIndex } from './pack-index.ts';
import { PackReader } from './pack-reader.ts';
import type { Source } from './source.ts';
import type { Store } from './store.ts';

/**
 * Has something fetched from the first of several sources that has it sound.
 * @throws BladerootError what the last of them throws
 */
export async function fromAny<T>(
  sources: readonly Source[],
  fetch: (source: Source) => Promise<T>,
): Promise<T> {
  let failure: BladerootError | undefined;
  for (const source of sources) {
    try {
      return await fetch(source);
    } catch (error) {
      if (!(error instanceof BladerootError)) throw error;
      failure = error;
    }
  }
  throw failure ?? new BladerootError('SOURCE_MISSING', 'there is no other store to fetch from');
}

/**
 * Makes a pack whole: fetches its index if that is damaged or missing, and just the pieces that are, each from whichever
 * source has it sound. Until it is done the pack stays as it was.
 * @throws BladerootError when no source has what is missing
 */
export async function mendPack(
  store: Store,
  id: Digest,
  sources: readonly Source[],
  options: CheckOptions = {},
): Promise<void> {
  const local = await openLocal(store, id);
  const reader = local ?? (await fromAny(sources, (source) => PackReader.open(source, id, options)));
  const { index } = reader;
  const state = await checkPieces(store.packPath(id), index, options);
  if (state.damaged.length > 0 || state.bytes !== index.bytes) {
    await rewrite(store, reader, state, sources);
  }
  if (local === undefined) await store.putPackIndex(id, compressPackIndex(encodePackIndex(index)));
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

/** The sound pieces of what is here and the others of the sources, in a file that then takes its place. */
async function rewrite(
  store: Store,
  reader: PackReader,
  state: PackState,
  sources: readonly Source[],
): Promise<void> {
  const aside = await store.createAside();
  try {
    if (state.bytes !== undefined) await copyPieces(store.packPath(reader.id), aside, reader.index, state);
    let left: readonly number[] = state.damaged;
    await fromAny(sources, async (source) => {
      const { missing, failure } = await fetchPieces(reader.from(source), left, aside);
      left = missing;
      if (failure !== undefined) throw failure;
    });
    await aside.commit(store.packPath(reader.id));
  } catch (error) {
    await aside.discard();
    throw error;
  }
}

/** Writes as many of some pieces as a source has sound; the numbers of the others. */
async function fetchPieces(
  reader: PackReader,
  numbers: readonly number[],
  aside: AsideFile,
): Promise<{ missing: number[]; failure?: BladerootError }> {
  const missing: number[] = [];
  let failure: BladerootError | undefined;
  for (let rest = numbers; rest.length > 0;) {
    let done = 0;
    try {
      for await (const { number, bytes } of reader.pieces(rest)) {
        await writeAt(aside.file, bytes, number * PIECE_SIZE);
        done++;
      }
    } catch (error) {
      if (!(error instanceof BladerootError)) throw error;
      failure = error;
      // Beyond a piece that is damaged there may be sound ones; a source that fails is not asked any further.
      const tried = error.code === 'PIECE_DAMAGED' ? done + 1 : rest.length;
      missing.push(...rest.slice(done, tried));
      done = tried;
    }
    rest = rest.slice(done);
  }
  return failure === undefined ? { missing } : { missing, failure };
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
