import { createReadStream } from 'node:fs';
import { readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createZstdCompress, zstdDecompress } from 'node:zlib';
import { BladerootError, errorCode } from '../errors.ts';
import { AsideFile, asideName, sweepAside, writeAside } from './aside.ts';
import { hashing, isDigest, sha256, sha256Meanwhile, type Digest } from './digest.ts';
import * as layout from './layout.ts';
import { openPackIndex, type PackIndex } from './pack-index.ts';
import { lockStore, type StoreLockKind, type StoreLockOptions, type Unlock } from './store-lock.ts';
import { exists, namesIn, readIfThere } from '../system/read-file.ts';
import { makeReadableDirectory, syncDirectory } from '../system/write-file.ts';

/** A manifest longer than this (uncompressed) is not read: some two million entries. */
export const MAX_MANIFEST_BYTES = 512 * 1024 * 1024;

const decompress = promisify(zstdDecompress);

/**
 * A folder with all that snapshots and releases are made of, each thing immutable and named by its SHA-256, so that any
 * HTTP server can hand it out. Everything is written aside, synced and renamed: what has a name is whole.
 */
export class Store {
  readonly directory: string;
  readonly asideFolder: string;

  private constructor(directory: string) {
    this.directory = directory;
    this.asideFolder = join(directory, 'tmp');
  }

  /**
   * Makes the folders where they are missing, and removes what crashed processes left half written. For who writes; who
   * only reads opens an existing one.
   */
  static async open(directory: string): Promise<Store> {
    for (const folder of layout.FOLDERS) await makeReadableDirectory(join(directory, folder));
    const store = new Store(directory);
    await sweepAside(store.asideFolder);
    return store;
  }

  /** A store that is only read: nothing is made or removed. @throws BladerootError `NO_STORE` */
  static async openExisting(directory: string): Promise<Store> {
    if (await exists(join(directory, 'snapshots'))) return new Store(directory);
    throw new BladerootError('NO_STORE', `there is no store in ${directory}`, {
      hint: '`bladeroot init` makes one; --state names another place',
    });
  }

  /**
   * Waits for the lock: `shared` for who makes or reads things, `exclusive` for who removes some. Returns what gives it
   * back.
   */
  async lock(kind: StoreLockKind, options?: StoreLockOptions): Promise<Unlock> {
    return await lockStore(this.directory, kind, options);
  }

  async createAside(): Promise<AsideFile> {
    return await AsideFile.create(this.asideFolder);
  }

  /** A store within this one's `tmp`, for what is not yet known to be whole; its owner discards it. */
  async createAsideStore(): Promise<Store> {
    return await Store.open(join(this.asideFolder, await asideName()));
  }

  /** Removes such a store. */
  async discard(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }

  blobPath(digest: Digest): string {
    return join(this.directory, layout.blobPath(digest));
  }

  async hasBlob(digest: Digest): Promise<boolean> {
    return await exists(this.blobPath(digest));
  }

  /**
   * Stores bytes, or the content of the file at a path.
   * @param options `syncName: false` for one of many, of which `syncBlobs` makes the names durable
   */
  async putBlob(content: Uint8Array | string, options: { syncName?: boolean } = {}): Promise<Digest> {
    const aside = await this.createAside();
    let digest = '';
    try {
      if (typeof content === 'string') {
        const chunks = hashing(asAsync(createReadStream(content)), (sum) => (digest = sum));
        for await (const chunk of chunks) await aside.file.appendFile(chunk);
      } else {
        [digest] = await Promise.all([sha256Meanwhile(content), aside.file.writeFile(content)]);
      }
      await aside.commit(this.blobPath(digest), options);
    } catch (error) {
      await aside.discard();
      throw error;
    }
    return digest;
  }

  /** Makes the names of all blobs durable. */
  async syncBlobs(): Promise<void> {
    await syncDirectory(join(this.directory, 'blobs'));
  }

  manifestPath(id: Digest): string {
    return join(this.directory, layout.manifestPath(id));
  }

  async hasManifest(id: Digest): Promise<boolean> {
    return await exists(this.manifestPath(id));
  }

  /** Stores a canonical manifest, which comes in parts: a large one need not be in memory as a whole. */
  async putManifest(parts: Iterable<Buffer>): Promise<{ id: Digest; bytes: number }> {
    let [id, bytes] = ['', 0];
    const counted = function* (): Generator<Buffer> {
      for (const part of parts) {
        bytes += part.length;
        yield part;
      }
    };
    const aside = await this.createAside();
    try {
      await pipeline(
        hashing(asAsync(counted()), (sum) => (id = sum)),
        createZstdCompress(),
        async (stored: AsyncIterable<Buffer>) => {
          for await (const chunk of stored) await aside.file.appendFile(chunk);
        },
      );
      if (await this.hasManifest(id)) await aside.discard();
      else await aside.commit(this.manifestPath(id));
    } catch (error) {
      await aside.discard();
      throw error;
    }
    return { id, bytes };
  }

  /** How long a manifest is as it is stored: its zstd form. */
  async manifestBytes(id: Digest): Promise<number> {
    return (await stat(this.manifestPath(id))).size;
  }

  /** Stores what makes a manifest of another one, in its zstd form. */
  async putManifestDelta(id: Digest, base: Digest, stored: Buffer): Promise<void> {
    await writeAside(this.asideFolder, join(this.directory, layout.manifestDeltaPath(id, base)), [stored]);
  }

  /** Stores a manifest's zstd form as another store has it, which the caller has checked. */
  async putCompressedManifest(id: Digest, stored: Buffer): Promise<void> {
    await writeAside(this.asideFolder, this.manifestPath(id), [stored]);
  }

  /** @throws BladerootError `MANIFEST_MISSING`, `MANIFEST_DAMAGED` */
  async readManifest(id: Digest): Promise<Buffer> {
    const stored = await this.#readNamed(this.manifestPath(id), 'MANIFEST_MISSING', `manifest ${id}`);
    return await decompressManifest(id, stored, MAX_MANIFEST_BYTES, this.directory);
  }

  packPath(id: Digest): string {
    return join(this.directory, layout.packPath(id));
  }

  packIndexPath(id: Digest): string {
    return join(this.directory, layout.packIndexPath(id));
  }

  partialPackPath(id: Digest): string {
    return join(this.directory, layout.partialPackPath(id));
  }

  /** A pack without its index does not exist: the index is written last. */
  async hasPack(id: Digest): Promise<boolean> {
    return (await exists(this.packIndexPath(id))) && (await exists(this.packPath(id)));
  }

  /** @throws BladerootError `PACK_MISSING`, `PACK_INDEX_DAMAGED` */
  async readPackIndex(id: Digest): Promise<PackIndex> {
    const bytes = await this.#readNamed(this.packIndexPath(id), 'PACK_MISSING', `pack ${id}`);
    return await openPackIndex(id, bytes, this.directory);
  }

  /** Stores the index of a pack, in its compressed form, which the caller has checked; the pack is there. */
  async putPackIndex(id: Digest, stored: Buffer): Promise<void> {
    await writeAside(this.asideFolder, this.packIndexPath(id), [stored]);
  }

  /** A pack was found damaged: what is good of it is kept as the start of fetching it again. */
  async withdrawPack(id: Digest): Promise<void> {
    await rm(this.packIndexPath(id), { force: true });
    await rename(this.packPath(id), this.partialPackPath(id));
  }

  /** Stores a snapshot's signed statement as it is. */
  async putSnapshot(id: Digest, envelope: Uint8Array): Promise<void> {
    await writeAside(this.asideFolder, join(this.directory, layout.snapshotPath(id)), [envelope]);
  }

  /** @throws BladerootError `SNAPSHOT_MISSING` */
  async readSnapshot(id: Digest): Promise<Buffer> {
    const path = join(this.directory, layout.snapshotPath(id));
    return await this.#readNamed(path, 'SNAPSHOT_MISSING', `snapshot ${id}`);
  }

  /** Removes a snapshot from the list; what it names stays. */
  async unlistSnapshot(id: Digest): Promise<void> {
    await this.#remove(layout.snapshotPath(id));
  }

  /** The ids of all snapshots, sorted. */
  async listSnapshots(): Promise<Digest[]> {
    const names = await readdir(join(this.directory, 'snapshots'));
    return names
      .filter((name) => name.endsWith('.json'))
      .map((name) => name.slice(0, -'.json'.length))
      .filter(isDigest)
      .sort();
  }

  /** What each tag stands for, by name; that may not be there any more. */
  async readTags(): Promise<Map<string, Digest>> {
    const names = (await namesIn(join(this.directory, 'tags'))).filter(layout.isTag).sort();
    const tags = new Map<string, Digest>();
    for (const name of names) {
      const id = (await readIfThere(join(this.directory, layout.tagPath(name))))?.trim();
      if (id !== undefined) tags.set(name, id);
    }
    return tags;
  }

  /** Has a tag stand for a snapshot, whatever it stood for. */
  async putTag(tag: string, id: Digest): Promise<void> {
    const path = join(this.directory, layout.tagPath(tag));
    await writeAside(this.asideFolder, path, [Buffer.from(`${id}\n`)]);
  }

  async removeTag(tag: string): Promise<void> {
    await this.#remove(layout.tagPath(tag));
  }

  async #remove(path: string): Promise<void> {
    const full = join(this.directory, path);
    await rm(full, { force: true });
    await syncDirectory(dirname(full));
  }

  async #readNamed(path: string, code: string, what: string): Promise<Buffer> {
    try {
      return await readFile(path);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      throw new BladerootError(code, `the store ${this.directory} has no ${what}`, { cause: error });
    }
  }
}

/**
 * A manifest's bytes out of its zstd form, checked by its id.
 * @param maxBytes what it may grow to, at most
 * @throws BladerootError `MANIFEST_DAMAGED`
 */
export async function decompressManifest(
  id: Digest,
  stored: Buffer,
  maxBytes: number,
  from: string,
): Promise<Buffer> {
  const damaged = (cause?: unknown): BladerootError =>
    new BladerootError('MANIFEST_DAMAGED', `manifest ${id} from ${from} is damaged`, {
      cause,
      hint: 'fetch it from another root or pack the tree again',
    });
  let manifest: Buffer;
  try {
    manifest = await decompress(stored, { maxOutputLength: maxBytes });
  } catch (error) {
    throw damaged(error);
  }
  if (sha256(manifest) !== id) throw damaged();
  return manifest;
}

async function* asAsync(chunks: Iterable<Buffer> | AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield* chunks;
}
