import { constants } from 'node:fs';
import { open, rename, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from '../system/write-file.ts';
import { errorCode } from '../errors.ts';
import { writeAside, writeAt } from './aside.ts';
import { sha256, type Digest } from './digest.ts';
import { compressPackIndex, encodePackIndex, PIECE_SIZE, pieceSize, type PackIndex } from './pack-index.ts';
import type { Store } from './store.ts';

/**
 * A pack while it comes into a mirror: pieces are written, verified and in order, to a partial file that outlives the
 * process. Two processes that mirror one pack at once do no harm: they write the same bytes to the same places.
 */
export class MirroredPack {
  readonly #store: Store;
  readonly #id: Digest;
  readonly #index: PackIndex;
  /** Whether the mirror had the pack, by its name, when it was opened. */
  readonly wasWhole: boolean;
  #file: FileHandle;
  #complete: boolean;

  private constructor(store: Store, id: Digest, index: PackIndex, file: FileHandle, complete: boolean) {
    this.#store = store;
    this.#id = id;
    this.#index = index;
    this.#file = file;
    this.wasWhole = complete;
    this.#complete = complete;
  }

  static async open(store: Store, id: Digest, index: PackIndex): Promise<MirroredPack> {
    const complete = await store.hasPack(id);
    const file = complete ? await open(store.packPath(id), 'r') : await openPartial(store, id);
    return new MirroredPack(store, id, index, file, complete);
  }

  /** A piece that is here already; undefined when it is missing or damaged, and has to be fetched. */
  async read(number: number): Promise<Buffer | undefined> {
    const piece = Buffer.alloc(pieceSize(this.#index, number));
    const { bytesRead } = await this.#file.read(piece, 0, piece.length, number * PIECE_SIZE);
    return bytesRead === piece.length && sha256(piece) === this.#index.pieces[number] ? piece : undefined;
  }

  async write(number: number, piece: Buffer): Promise<void> {
    if (this.#complete) await this.#withdraw();
    await writeAt(this.#file, piece, number * PIECE_SIZE);
  }

  /** All pieces are there: makes the pack durable in the mirror. */
  async finish(): Promise<void> {
    if (this.#complete) return;
    const path = this.#store.packPath(this.#id);
    await this.#file.truncate(this.#index.bytes);
    await this.#file.sync();
    try {
      await rename(this.#store.partialPackPath(this.#id), path);
    } catch (error) {
      // Another process has mirrored the same pack meanwhile and was the first to finish.
      if (errorCode(error) !== 'ENOENT') throw error;
    }
    await syncDirectory(dirname(path));
    const index = compressPackIndex(encodePackIndex(this.#index));
    await writeAside(this.#store.asideFolder, this.#store.packIndexPath(this.#id), [index]);
    this.#complete = true;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** A piece of a pack that was whole is damaged: it is mended as one that is being fetched. */
  async #withdraw(): Promise<void> {
    await this.#store.withdrawPack(this.#id);
    await this.#file.close();
    this.#file = await openPartial(this.#store, this.#id);
    this.#complete = false;
  }
}

async function openPartial(store: Store, id: Digest): Promise<FileHandle> {
  return await open(store.partialPackPath(id), constants.O_RDWR | constants.O_CREAT, 0o644);
}
