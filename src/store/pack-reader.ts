/** Reading packs out of a source: piece by piece, each checked before anything is made of it. */
import { BladerootError, errorCode } from '../errors.ts';
import { letGo } from '../system/collect-garbage.ts';
import { ByteReader } from './byte-reader.ts';
import { sha256, type Digest } from './digest.ts';
import { fetchBytes, type FetchOptions } from './fetch.ts';
import { packIndexPath, packPath } from './layout.ts';
import { MirroredPack } from './mirrored-pack.ts';
import { MAX_INDEX_BYTES, openPackIndex, PIECE_SIZE, pieceSize, type PackIndex } from './pack-index.ts';
import type { Source } from './source.ts';
import type { Store } from './store.ts';

export interface PackReaderOptions extends FetchOptions {
  /** Keeps the pack as well: what it holds of it already is not fetched again. */
  mirror?: Store | undefined;
  /** Only what is wanted is fetched, and the mirror has a part of the pack until `mirrorAll`. */
  partly?: boolean | undefined;
}

/** 1 MiB of a pack, verified. */
export interface Piece {
  number: number;
  bytes: Buffer;
}

/** A frame as it lies in the pack, in a buffer of its own. */
export interface PackFrame {
  number: number;
  bytes: Buffer;
}

/** One pack in a source, or in a mirror of it. */
export class PackReader {
  readonly id: Digest;
  readonly index: PackIndex;
  readonly #source: Source;
  readonly #options: PackReaderOptions;
  /** Where each frame starts in the pack file. */
  readonly #offsets: readonly number[];

  private constructor(source: Source, id: Digest, index: PackIndex, options: PackReaderOptions) {
    this.id = id;
    this.index = index;
    this.#source = source;
    this.#options = options;
    this.#offsets = startsOf(index.frames.map((frame) => frame.bytes));
  }

  /** @throws BladerootError `PACK_INDEX_DAMAGED`, and what the source throws */
  static async open(source: Source, id: Digest, options: PackReaderOptions = {}): Promise<PackReader> {
    const index = (await indexIn(options.mirror, id)) ?? (await fetchIndex(source, id, options));
    return new PackReader(source, id, index, options);
  }

  /** The same pack in another source, to be read here and there. */
  from(source: Source): PackReader {
    return new PackReader(source, this.id, this.index, { signal: this.#options.signal });
  }

  /**
   * Frames, in order: all of them, or those whose numbers are wanted. What a mirror does not hold of the pack is fetched
   * in any case, unless `partly`, so that it has the pack in the end; a fetch that was interrupted goes on with the pieces
   * that are missing. Of a pack that the mirror has, just what is wanted is read.
   * @throws BladerootError `PIECE_DAMAGED`, and what the source throws
   */
  async *frames(wanted?: ReadonlySet<number>): AsyncGenerator<PackFrame, void, void> {
    const { mirror } = this.#options;
    const runs = this.#runs(wanted);
    const pieces = mirror === undefined ? this.#pieces(runs) : this.#throughMirror(mirror, runs);
    yield* this.#cut(pieces, wanted);
  }

  /**
   * Single pieces, by their numbers in ascending order.
   * @throws BladerootError `PIECE_DAMAGED`, and what the source throws
   */
  async *pieces(numbers: readonly number[]): AsyncGenerator<Piece, void, void> {
    yield* this.#pieces(runsOf(numbers));
  }

  /** The pieces that a mirror does not hold go to it; nothing is made of them. */
  async mirrorAll(): Promise<void> {
    const { mirror } = this.#options;
    if (mirror === undefined) throw new Error('a pack is mirrored into a mirror');
    for await (const piece of this.#throughMirror(mirror)) void piece;
  }

  /** Which runs of pieces, [first, end), the wanted frames lie in. */
  #runs(wanted: ReadonlySet<number> | undefined): [number, number][] {
    if (wanted === undefined) return [[0, this.index.pieces.length]];
    const runs: [number, number][] = [];
    for (const [number, { bytes }] of this.index.frames.entries()) {
      if (!wanted.has(number)) continue;
      const start = this.#offsets[number] ?? 0;
      const [first, end] = [Math.floor(start / PIECE_SIZE), Math.ceil((start + bytes) / PIECE_SIZE)];
      const last = runs.at(-1);
      if (last !== undefined && first <= last[1]) last[1] = Math.max(last[1], end);
      else runs.push([first, end]);
    }
    return runs;
  }

  async *#pieces(runs: [number, number][]): AsyncGenerator<Piece, void, void> {
    for (const [first, end] of runs) {
      for (let next = first; next < end;) {
        try {
          for await (const piece of this.#run(next, end)) {
            yield piece;
            next = piece.number + 1;
          }
        } catch (error) {
          // A source that can ask elsewhere does so, from the damaged piece on.
          if (errorCode(error) !== 'PIECE_DAMAGED') throw error;
          if (this.#source.damaged?.(packPath(this.id)) !== true) throw error;
        }
      }
    }
  }

  async *#run(first: number, end: number): AsyncGenerator<Piece, void, void> {
    const { signal, onBytes } = this.#options;
    const range = {
      start: first * PIECE_SIZE,
      end: Math.min(end * PIECE_SIZE, this.index.bytes),
      signal,
    };
    const reader = new ByteReader(
      await this.#source.get(packPath(this.id), range),
      (missing) =>
        new BladerootError(
          'SOURCE_FAILED',
          `pack ${this.id} from ${this.#source.name} ended ${missing} bytes too early`,
          { hint: 'run `bladeroot snapshot verify` where it lies' },
        ),
    );
    try {
      for (let number = first; number < end; number++) {
        const bytes = await reader.read(pieceSize(this.index, number));
        onBytes?.(bytes.length);
        if (sha256(bytes) !== this.index.pieces[number]) throw this.#damaged(number);
        yield { number, bytes };
      }
    } finally {
      await reader.close();
    }
  }

  /**
   * Pieces that the mirror holds, and those of the source, which are written to the mirror.
   * @param wanted runs of pieces; all where it is not given
   */
  async *#throughMirror(
    mirror: Store,
    wanted?: readonly [number, number][],
  ): AsyncGenerator<Piece, void, void> {
    const mirrored = await MirroredPack.open(mirror, this.id, this.index);
    try {
      const { wasWhole } = mirrored;
      const isPart = wanted !== undefined && (wasWhole || this.#options.partly === true);
      for (const [first, end] of isPart ? wanted : [[0, this.index.pieces.length] as const]) {
        yield* this.#runThrough(mirrored, first, end);
      }
      if (!isPart || wasWhole) await mirrored.finish();
    } finally {
      await mirrored.close();
    }
  }

  async *#runThrough(mirrored: MirroredPack, first: number, end: number): AsyncGenerator<Piece, void, void> {
    for (let next = first; next < end;) {
      const bytes = await mirrored.read(next);
      if (bytes !== undefined) {
        yield { number: next++, bytes };
        continue;
      }
      // As much in one request as is missing in one go.
      let held = next + 1;
      while (held < end && (await mirrored.read(held)) === undefined) held++;
      for await (const piece of this.#pieces([[next, held]])) {
        await mirrored.write(piece.number, piece.bytes);
        yield piece;
      }
      next = held;
    }
  }

  /** Frames out of the pieces that they lie in; a frame may begin in one and end in another. */
  async *#cut(
    pieces: AsyncIterable<Piece>,
    wanted: ReadonlySet<number> | undefined,
  ): AsyncGenerator<PackFrame, void, void> {
    const { frames } = this.index;
    let number = 0;
    let frame: Buffer | undefined;
    for await (const piece of pieces) {
      const pieceStart = piece.number * PIECE_SIZE;
      const pieceEnd = pieceStart + piece.bytes.length;
      for (; number < frames.length; number++) {
        const start = this.#offsets[number] ?? 0;
        const end = start + (frames[number]?.bytes ?? 0);
        if (wanted === undefined || wanted.has(number)) {
          if (start >= pieceEnd) break;
          frame ??= Buffer.allocUnsafeSlow(end - start);
          const from = Math.max(start, pieceStart);
          piece.bytes.copy(frame, from - start, from - pieceStart, Math.min(end, pieceEnd) - pieceStart);
        }
        if (end > pieceEnd) break;
        if (frame !== undefined) {
          letGo(frame.length);
          yield { number, bytes: frame };
        }
        frame = undefined;
      }
    }
  }

  #damaged(piece: number): BladerootError {
    const what = `piece ${piece} of pack ${this.id} from ${this.#source.name} is damaged`;
    return new BladerootError('PIECE_DAMAGED', what, {
      hint: 'it was not used; `bladeroot snapshot verify --repair-from` mends a store from another',
    });
  }
}

/** Runs, [first, end), of ascending numbers. */
export function runsOf(numbers: readonly number[]): [first: number, end: number][] {
  const runs: [number, number][] = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last?.[1] === number) last[1]++;
    else runs.push([number, number + 1]);
  }
  return runs;
}

/** Where each of the things that lie one after the other starts. */
export function startsOf(lengths: readonly number[]): number[] {
  let start = 0;
  return lengths.map((length) => (start += length) - length);
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

/** An index is small: where what came is damaged, it is asked for as often as the source has somewhere else to ask. */
async function fetchIndex(source: Source, packId: Digest, options: FetchOptions): Promise<PackIndex> {
  const path = packIndexPath(packId);
  for (;;) {
    const stored = await fetchBytes(source, path, { ...options, maxBytes: MAX_INDEX_BYTES });
    try {
      return await openPackIndex(packId, stored, source.name);
    } catch (error) {
      if (errorCode(error) !== 'PACK_INDEX_DAMAGED' || source.damaged?.(path) !== true) throw error;
    }
  }
}
