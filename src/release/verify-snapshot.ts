/** Checks all that snapshots name: manifests, packs, and that their ways lead to everything that the manifest names. */
import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { parseManifest, type ManifestEntry } from '../image/manifest.ts';
import { applyManifestDelta } from '../image/manifest-delta.ts';
import { packsOf, type PackRef, type SnapshotStatement } from '../image/statement.ts';
import { combinationsOf, missingObjects, type Combination } from '../image/ways.ts';
import { checkObjects, checkPieces, type CheckOptions, type PackState } from '../store/check-pack.ts';
import type { Digest } from '../store/digest.ts';
import { DirectorySource } from '../store/directory-source.ts';
import { fetchBytes, fetchManifest } from '../store/fetch.ts';
import { manifestDeltaPath, manifestPath, packIndexPath, packPath, snapshotPath } from '../store/layout.ts';
import { fromAny, mendPack } from '../store/mend.ts';
import { ObjectReader } from '../store/object-reader.ts';
import type { PackIndex } from '../store/pack-index.ts';
import { PackReader, runsOf } from '../store/pack-reader.ts';
import type { Source } from '../store/source.ts';
import type { Store } from '../store/store.ts';
import { exists } from '../system/read-file.ts';
import type { Findings } from './findings.ts';

export interface SnapshotVerifierOptions {
  store: Store;
  findings: Findings;
  /** All that are named, for the progress. */
  packs: ReadonlyMap<Digest, PackRef>;
  sources?: readonly Source[] | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: { bytesDone: number; bytesTotal: number }) => void) | undefined;
}

const decompress = promisify(zstdDecompress);

export class SnapshotVerifier {
  readonly notes: string[] = [];
  readonly #options: SnapshotVerifierOptions;
  readonly #local: DirectorySource;
  /** Packs whose pieces were checked, and which of them are damaged in the end; undefined: not here. */
  readonly #pieces = new Map<Digest, readonly number[] | undefined>();
  readonly #readers = new Map<Digest, PackReader>();
  /** Packs whose objects were checked. */
  readonly #objects = new Set<Digest>();
  readonly #bytesTotal: number;
  #bytesDone = 0;

  constructor(options: SnapshotVerifierOptions) {
    this.#options = options;
    this.#local = new DirectorySource(options.store.directory);
    this.#bytesTotal = 2 * [...options.packs.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  get packsChecked(): number {
    return [...this.#pieces.values()].filter((damaged) => damaged !== undefined).length;
  }

  async verify(statement: SnapshotStatement): Promise<void> {
    const entries = await this.#manifest(statement);
    for (const { base, bytes } of statement.manifest.deltas)
      await this.#manifestDelta(statement, base, bytes);
    for (const { id } of packsOf(statement)) await this.#pack(id);
    await this.#ways(statement);
    // Patches find what they are based on where nothing is missing: these ways are read first.
    const incomplete: PackReader[][] = [];
    for (const combination of combinationsOf(statement)) {
      const readers = this.#readersOf(combination);
      if (readers === undefined) continue;
      const check = async (): Promise<string[]> =>
        describeMissing(
          combination,
          missingObjects(combination, entries, (id) => this.#indexOf(id)),
        );
      if (await this.#options.findings.look(snapshotPath(statement.id), check)) await this.#checkAll(readers);
      else incomplete.push(readers);
    }
    for (const readers of incomplete) await this.#checkAll(readers);
  }

  async #manifest({ id, manifest }: SnapshotStatement): Promise<ManifestEntry[]> {
    const { store, findings, signal } = this.#options;
    let entries: ManifestEntry[] = [];
    const check = async (): Promise<string[]> => {
      entries = parseManifest(await store.readManifest(id));
      const storedBytes = await store.manifestBytes(id);
      return storedBytes === manifest.storedBytes ? [] : [`it is ${storedBytes} bytes long, not as signed`];
    };
    const mend = this.#mendFrom(async (source) => {
      await fetchManifest(source, { id, ...manifest }, { signal, mirror: store });
    });
    await findings.lookAndMend(manifestPath(id), check, mend);
    return entries;
  }

  /** Who has it not takes the whole manifest: only a damaged one is a fault. */
  async #manifestDelta({ id, manifest }: SnapshotStatement, base: Digest, bytes: number): Promise<void> {
    const { store, findings, signal } = this.#options;
    const path = manifestDeltaPath(id, base);
    if (!(await exists(`${store.directory}/${path}`)) || !(await store.hasManifest(base))) return;
    const apply = async (stored: Buffer): Promise<void> => {
      const delta = await decompress(stored, { maxOutputLength: manifest.bytes + 1024 * 1024 });
      applyManifestDelta(delta, await store.readManifest(base), id, manifest.bytes);
    };
    const check = async (): Promise<string[]> => {
      const stored = await fetchBytes(this.#local, path, { maxBytes: bytes });
      return await apply(stored).then(
        () => [],
        () => ['it does not make the manifest'],
      );
    };
    const mend = this.#mendFrom(async (source) => {
      const stored = await fetchBytes(source, path, { maxBytes: bytes, signal });
      await apply(stored);
      await store.putManifestDelta(id, base, stored);
    });
    await findings.lookAndMend(path, check, mend);
  }

  /** Checks index and pieces of a pack; none of a pack of which nothing is here. */
  async #pack(id: Digest): Promise<void> {
    const { store, findings } = this.#options;
    if (this.#pieces.has(id)) return;
    const isHere = (await exists(store.packPath(id))) || (await exists(store.packIndexPath(id)));
    if (!isHere) {
      this.#pieces.set(id, undefined);
      return;
    }
    const mend = this.#mendPack(id);
    const isReadable = await findings.lookAndMend(packIndexPath(id), () => this.#openPack(id), mend);
    if (!isReadable) {
      this.#pieces.set(id, []);
      return;
    }
    await findings.lookAndMend(packPath(id), () => this.#checkPieces(id), mend);
  }

  async #openPack(id: Digest): Promise<string[]> {
    if (!(await exists(this.#options.store.packIndexPath(id)))) return ['the index of the pack is missing'];
    this.#readers.set(id, await PackReader.open(this.#local, id));
    return [];
  }

  async #checkPieces(id: Digest): Promise<string[]> {
    const index = this.#indexOf(id);
    const counts = !this.#pieces.has(id);
    const state = await checkPieces(this.#options.store.packPath(id), index, this.#check(counts));
    this.#pieces.set(id, state.damaged);
    return describeState(state, index);
  }

  /** One of the ways of a snapshot has to be here; where none is, what is missing of the shortest is a fault. */
  async #ways(statement: SnapshotStatement): Promise<void> {
    const { store, findings } = this.#options;
    const has = new Set([...this.#pieces].flatMap(([id, damaged]) => (damaged === undefined ? [] : [id])));
    const [nearest] = combinationsOf(statement, has);
    if (nearest === undefined) return;
    for (const { id } of nearest.packs.filter((pack) => !has.has(pack.id))) {
      const check = async (): Promise<string[]> =>
        (await store.hasPack(id))
          ? []
          : [`the pack is missing, and snapshot ${statement.id.slice(0, 12)} needs it`];
      const mend = this.#mendPack(id);
      if (!(await findings.lookAndMend(packPath(id), check, mend))) continue;
      this.#pieces.delete(id);
      await this.#pack(id);
    }
    for (const { id } of packsOf(statement)) {
      if (this.#pieces.get(id) !== undefined || nearest.packs.some((pack) => pack.id === id)) continue;
      this.notes.push(
        `pack ${id} is not here: snapshot ${statement.id.slice(0, 12)} is whole by another way, without it`,
      );
    }
  }

  /** Of all packs of a combination; undefined unless all can be read. */
  #readersOf({ packs }: Combination): PackReader[] | undefined {
    const readers = packs.flatMap(({ id }) => this.#readers.get(id) ?? []);
    return readers.length === packs.length ? readers : undefined;
  }

  /** Reads all objects of packs, where that was not done yet. */
  async #checkAll(readers: readonly PackReader[]): Promise<void> {
    const bases = new ObjectReader(readers);
    for (const reader of readers) {
      if (this.#objects.has(reader.id)) continue;
      this.#objects.add(reader.id);
      const damaged = this.#pieces.get(reader.id) ?? [];
      const check = (): Promise<string[]> => checkObjects(reader, bases, damaged, this.#check(true));
      await this.#options.findings.look(packPath(reader.id), check);
    }
  }

  #mendPack(id: Digest): (() => Promise<void>) | undefined {
    const { store, sources = [] } = this.#options;
    return sources.length === 0 ? undefined : () => mendPack(store, id, sources, this.#check(false));
  }

  #mendFrom(mend: (source: Source) => Promise<void>): (() => Promise<void>) | undefined {
    const { sources = [] } = this.#options;
    return sources.length === 0 ? undefined : () => fromAny(sources, mend);
  }

  #indexOf(id: Digest): PackIndex {
    const reader = this.#readers.get(id);
    if (reader === undefined) throw new Error(`the index of pack ${id} was not read`);
    return reader.index;
  }

  #check(counts: boolean): CheckOptions {
    const { signal, onProgress } = this.#options;
    const onBytes = (bytes: number): void => {
      this.#bytesDone += bytes;
      onProgress?.({ bytesDone: this.#bytesDone, bytesTotal: this.#bytesTotal });
    };
    return { signal, onBytes: counts ? onBytes : undefined };
  }
}

function describeState({ bytes, damaged }: PackState, index: PackIndex): string[] {
  if (bytes === undefined) return ['the pack is missing, and its index is here'];
  const lines = runsOf(damaged).map(([first, end]) =>
    end - first === 1 ? `piece ${first} is damaged` : `pieces ${first} to ${end - 1} are damaged`,
  );
  if (bytes !== index.bytes) lines.push(`it is ${bytes} bytes long instead of ${index.bytes}`);
  return lines;
}

function describeMissing({ ways }: Combination, missing: readonly Digest[]): string[] {
  const [first] = missing;
  if (first === undefined) return [];
  const names = [...ways].map(
    ([layer, way]) => `${layer}: ${way.map(({ id }) => id.slice(0, 12)).join(', ')}`,
  );
  return [`${missing.length} objects are not in the packs of the way ${names.join('; ')}, such as ${first}`];
}
