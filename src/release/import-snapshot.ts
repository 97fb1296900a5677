/** Takes in an exported snapshot, which is hostile until it has proved to be what the fleet's key has signed. */
import type { KeyObject } from 'node:crypto';
import { rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BladerootError } from '../errors.ts';
import { parseManifest } from '../image/manifest.ts';
import { packsOf, type PackRef, type SnapshotStatement } from '../image/statement.ts';
import { decodeTar, type TarEntry } from '../image/tar-decoder.ts';
import { combinationsOf, isHere, missingObjects, type Combination } from '../image/ways.ts';
import { writeAt } from '../store/aside.ts';
import { ByteReader, collect } from '../store/byte-reader.ts';
import { checkObjects } from '../store/check-pack.ts';
import { sha256, type Digest } from '../store/digest.ts';
import { DirectorySource } from '../store/directory-source.ts';
import { FailoverSource } from '../store/failover-source.ts';
import { manifestPath, packIndexPath, packPath } from '../store/layout.ts';
import { ObjectReader } from '../store/object-reader.ts';
import { openPackIndex, PIECE_SIZE, pieceSize, type PackIndex } from '../store/pack-index.ts';
import { PackReader } from '../store/pack-reader.ts';
import type { Source } from '../store/source.ts';
import { decompressManifest, type Store } from '../store/store.ts';
import { syncDirectory } from '../system/write-file.ts';
import { MAX_ENVELOPE_BYTES, openSnapshot, readIfSound } from './snapshots.ts';

export interface ImportOptions {
  signal?: AbortSignal | undefined;
  /** Of packs: each is read as it comes, and once more for its objects. */
  onProgress?: ((progress: { bytesDone: number }) => void) | undefined;
}

export interface Imported {
  statement: SnapshotStatement;
  /** False when the store had it all already. */
  isNew: boolean;
}

/**
 * Reads an archive and lists the snapshot. Until all of it is verified, what came lies in a store of its own in `tmp`,
 * which is gone whatever happens: nothing that is not of the snapshot, or longer than what is signed, is ever written.
 * @throws BladerootError `IMPORT_REFUSED` when it is no archive of a snapshot, or not all of one; `SIGNATURE_INVALID`,
 * `MANIFEST_DAMAGED`, `PACK_INDEX_DAMAGED`, `PIECE_DAMAGED`, `OBJECT_DAMAGED`, `TAR_DAMAGED`, `TAR_CUT_OFF`
 */
export async function importSnapshot(
  store: Store,
  archive: AsyncIterable<Buffer>,
  publicKey: KeyObject,
  options: ImportOptions = {},
): Promise<Imported> {
  const staging = await store.createAsideStore();
  try {
    return await new Import(store, staging, publicKey, options).run(archive);
  } finally {
    await staging.discard();
  }
}

class Import {
  readonly #store: Store;
  readonly #staging: Store;
  readonly #publicKey: KeyObject;
  readonly #options: ImportOptions;
  readonly #indexes = new Map<Digest, PackIndex>();
  #bytesDone = 0;

  constructor(store: Store, staging: Store, publicKey: KeyObject, options: ImportOptions) {
    this.#store = store;
    this.#staging = staging;
    this.#publicKey = publicKey;
    this.#options = options;
  }

  async run(archive: AsyncIterable<Buffer>): Promise<Imported> {
    const members = decodeTar(archive);
    try {
      const { statement, envelope } = await this.#takeStatement(members);
      const listed = await readIfSound(this.#store, statement.id, this.#publicKey);
      if (listed !== undefined && (await isHere(this.#store, listed))) {
        // Who writes the archive must not find the pipe closed.
        for await (const member of members) void member;
        return { statement: listed, isNew: false };
      }
      await this.#takeMembers(statement, members);
      const packs = await this.#verify(statement);
      await this.#place(statement, packs);
      await this.#store.putSnapshot(statement.id, envelope);
      return { statement, isNew: true };
    } finally {
      await members.return(undefined);
    }
  }

  async #takeStatement(
    members: AsyncGenerator<TarEntry>,
  ): Promise<{ statement: SnapshotStatement; envelope: Buffer }> {
    const first = await members.next();
    if (first.done === true) throw refused('there is nothing in it');
    const { path, size, content } = member(first.value);
    const id = /^snapshots\/([0-9a-f]{64})\.json$/.exec(path)?.[1];
    if (id === undefined)
      throw refused(`it begins with ${JSON.stringify(path)}, not with a snapshot's statement`);
    if (size > MAX_ENVELOPE_BYTES) throw refused(`${path} is ${size} bytes long`);
    const envelope = await collect(content);
    return { statement: openSnapshot(envelope, id, this.#publicKey), envelope };
  }

  async #takeMembers(statement: SnapshotStatement, members: AsyncGenerator<TarEntry>): Promise<void> {
    const { id, manifest } = statement;
    const expected = new Map<string, (size: number, content: AsyncIterable<Buffer>) => Promise<void>>();
    expected.set(manifestPath(id), async (size, content) => {
      if (size !== manifest.storedBytes) throw refused(`the manifest is ${size} bytes long, not as signed`);
      const stored = await collect(content);
      await decompressManifest(id, stored, manifest.bytes, 'the archive');
      await this.#staging.putCompressedManifest(id, stored);
    });
    for (const pack of packsOf(statement)) {
      expected.set(
        packIndexPath(pack.id),
        async (size, content) => await this.#takeIndex(pack, size, content),
      );
      expected.set(packPath(pack.id), async (size, content) => await this.#takePack(pack, size, content));
    }
    for await (const entry of members) {
      const { path, size, content } = member(entry);
      const take = expected.get(path);
      if (take === undefined)
        throw refused(`${JSON.stringify(path)} is not of snapshot ${id}, or comes twice`);
      expected.delete(path);
      await take(size, content);
    }
  }

  async #takeIndex(pack: PackRef, size: number, content: AsyncIterable<Buffer>): Promise<void> {
    // Another version of zstd may have compressed it to another length.
    if (size > 2 * pack.indexBytes + 4096)
      throw refused(`the index of pack ${pack.id} is ${size} bytes long`);
    const stored = await collect(content);
    const index = await openPackIndex(pack.id, stored, 'the archive');
    if (index.bytes !== pack.bytes) throw refused(`pack ${pack.id} is not as long as signed`);
    this.#indexes.set(pack.id, index);
    await this.#staging.putPackIndex(pack.id, stored);
  }

  async #takePack(pack: PackRef, size: number, content: AsyncIterable<Buffer>): Promise<void> {
    const index = this.#indexes.get(pack.id);
    if (index === undefined) throw refused(`pack ${pack.id} comes before its index`);
    if (size !== pack.bytes) throw refused(`pack ${pack.id} is ${size} bytes long, not as signed`);
    const reader = new ByteReader(content, () => refused(`pack ${pack.id} ends too early`));
    const aside = await this.#staging.createAside();
    try {
      for (const [number, digest] of index.pieces.entries()) {
        this.#options.signal?.throwIfAborted();
        const piece = await reader.read(pieceSize(index, number));
        if (sha256(piece) !== digest) {
          throw new BladerootError(
            'PIECE_DAMAGED',
            `piece ${number} of pack ${pack.id} in the archive is damaged`,
            { hint: 'export the snapshot again, from a store that `bladeroot snapshot verify` finds sound' },
          );
        }
        await writeAt(aside.file, piece, number * PIECE_SIZE);
        this.#advance(piece.length);
      }
      await aside.commit(this.#staging.packPath(pack.id));
    } catch (error) {
      await aside.discard();
      throw error;
    }
  }

  /** Reads all objects of a way that is here as a whole, in the archive or before. Returns its packs. */
  async #verify(statement: SnapshotStatement): Promise<readonly PackRef[]> {
    const { id } = statement;
    const hasManifest = (await this.#staging.hasManifest(id)) || (await this.#store.hasManifest(id));
    if (!hasManifest) throw refused(`the manifest of snapshot ${id} is missing`);
    const manifests = (await this.#staging.hasManifest(id)) ? this.#staging : this.#store;
    const entries = parseManifest(await manifests.readManifest(id));
    const [way, readers] = await this.#openWay(statement);
    const missing = missingObjects(way, entries, (pack) => indexOf(readers, pack));
    if (missing.length > 0) throw refused(`${missing.length} objects of snapshot ${id} are missing`);
    const bases = new ObjectReader(readers);
    for (const reader of readers) {
      const options = { signal: this.#options.signal, onBytes: (bytes: number) => this.#advance(bytes) };
      const [wrong] = await checkObjects(reader, bases, [], options);
      if (wrong !== undefined) throw new BladerootError('OBJECT_DAMAGED', `pack ${reader.id}: ${wrong}`);
    }
    return way.packs;
  }

  /** The way that takes most of its packs from the archive. */
  async #openWay(statement: SnapshotStatement): Promise<[Combination, PackReader[]]> {
    const here: Source = new FailoverSource(
      [this.#staging, this.#store].map(({ directory }) => new DirectorySource(directory)),
    );
    const staged = new Set<Digest>();
    for (const id of this.#indexes.keys()) if (await this.#staging.hasPack(id)) staged.add(id);
    for (const combination of combinationsOf(statement, staged)) {
      const missing: PackRef[] = [];
      for (const pack of combination.packs) {
        if (!staged.has(pack.id) && !(await this.#store.hasPack(pack.id))) missing.push(pack);
      }
      if (missing.length > 0) continue;
      const readers: PackReader[] = [];
      for (const { id } of combination.packs) readers.push(await PackReader.open(here, id, this.#options));
      return [combination, readers];
    }
    throw refused(`not all packs of snapshot ${statement.id} are in it`);
  }

  /** Gives what came its names in the store. It is synced already; a pack's index comes after the pack. */
  async #place({ id }: SnapshotStatement, packs: readonly PackRef[]): Promise<void> {
    const [from, to] = [this.#staging, this.#store];
    for (const pack of packs) {
      if (!(await from.hasPack(pack.id))) continue;
      await rename(from.packPath(pack.id), to.packPath(pack.id));
      await syncDirectory(dirname(to.packPath(pack.id)));
      await rename(from.packIndexPath(pack.id), to.packIndexPath(pack.id));
      await syncDirectory(dirname(to.packIndexPath(pack.id)));
    }
    if (!(await from.hasManifest(id))) return;
    await rename(from.manifestPath(id), to.manifestPath(id));
    await syncDirectory(dirname(to.manifestPath(id)));
  }

  #advance(bytes: number): void {
    this.#bytesDone += bytes;
    this.#options.onProgress?.({ bytesDone: this.#bytesDone });
  }
}

function member({ header, content }: TarEntry): {
  path: string;
  size: number;
  content: AsyncIterable<Buffer>;
} {
  const path = header.path.toString('latin1');
  if (header.type !== 'file') throw refused(`${JSON.stringify(path)} is no file`);
  return { path, size: header.size, content };
}

function indexOf(readers: readonly PackReader[], id: Digest): PackIndex {
  const reader = readers.find((each) => each.id === id);
  if (reader === undefined) throw new Error(`pack ${id} was not opened`);
  return reader.index;
}

function refused(why: string): BladerootError {
  return new BladerootError('IMPORT_REFUSED', `the archive is not taken: ${why}`, {
    hint: '`bladeroot snapshot export` makes archives that are',
  });
}
