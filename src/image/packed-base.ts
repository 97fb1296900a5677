/** The snapshot that a new one builds upon: what its packs hold is not packed again, and serves for patches. */
import { isDeepStrictEqual } from 'node:util';
import { errorCode } from '../errors.ts';
import type { Digest } from '../store/digest.ts';
import { ObjectReader } from '../store/object-reader.ts';
import type { Layer, ObjectRef } from '../store/pack-index.ts';
import { PackReader, type PackReaderOptions } from '../store/pack-reader.ts';
import type { Source } from '../store/source.ts';
import type { Store } from '../store/store.ts';
import { DirectorySource } from '../store/directory-source.ts';
import type { BytePath } from './byte-path.ts';
import { EntryFinder } from './entry-finder.ts';
import { parseManifest, type ManifestEntry } from './manifest.ts';
import { layerOf, layersFor, waysByCost, type SnapshotStatement } from './statement.ts';

/** Opens all packs of the cheapest way of a layer whose packs are all there. @throws BladerootError as the last way does */
export async function openWay(
  source: Source,
  statement: SnapshotStatement,
  name: Layer,
  options: PackReaderOptions = {},
): Promise<PackReader[]> {
  const layer = layerOf(statement, name);
  const has = new Set<Digest>();
  for (const { id } of layer?.ways.flat() ?? []) if (await options.mirror?.hasPack(id)) has.add(id);
  const ways = layer === undefined ? [] : waysByCost(layer, has);
  for (const [i, way] of ways.entries()) {
    try {
      const readers: PackReader[] = [];
      for (const { id } of way) readers.push(await PackReader.open(source, id, options));
      return readers;
    } catch (error) {
      const code = errorCode(error);
      const isGone = code === 'SOURCE_MISSING' || code === 'PACK_INDEX_DAMAGED';
      if (!isGone || i === ways.length - 1) throw error;
    }
  }
  return [];
}

/** A snapshot in a store, to build upon. */
export class PackedBase {
  readonly statement: SnapshotStatement;
  readonly entries: readonly ManifestEntry[];
  /**
   * What a patch in a pack of a layer may be based on. One of `extra` rests on `extra` alone: otherwise the ways of the
   * two layers would hang together.
   */
  readonly objects: Readonly<Record<Layer, ObjectReader>>;
  readonly #known: Readonly<Record<Layer, ReadonlySet<Digest>>>;
  readonly #finder: EntryFinder;

  private constructor(
    statement: SnapshotStatement,
    entries: readonly ManifestEntry[],
    objects: Readonly<Record<Layer, ObjectReader>>,
  ) {
    this.statement = statement;
    this.entries = entries;
    this.#finder = new EntryFinder(entries);
    this.objects = objects;
    // Not all that the packs hold: what only older snapshots had is not in every way.
    const knownIn = (layer: Layer): ReadonlySet<Digest> => {
      const known = new Set<Digest>();
      for (const entry of entries) {
        if (entry.type !== 'file') continue;
        for (const { digest } of entry.objects) if (objects[layer].has(digest)) known.add(digest);
      }
      return known;
    };
    this.#known = { run: knownIn('run'), extra: knownIn('extra') };
  }

  static async open(store: Store, statement: SnapshotStatement): Promise<PackedBase> {
    const source = new DirectorySource(store.directory);
    const run = await openWay(source, statement, 'run');
    const extra = await openWay(source, statement, 'extra');
    const objects = { run: new ObjectReader(run), extra: new ObjectReader(extra) };
    const known = ({ digest }: ObjectRef): ObjectRef | undefined =>
      objects.run.find(digest) ?? objects.extra.find(digest);
    const entries = parseManifest(await store.readManifest(statement.id));
    for (const entry of entries) {
      if (entry.type === 'file') entry.objects = entry.objects.map((object) => known(object) ?? object);
    }
    return new PackedBase(statement, entries, objects);
  }

  /** The snapshot's own string of a path that it has, so that it is in memory once. */
  samePath(path: BytePath): BytePath {
    return this.#finder.entryOf(path)?.path ?? path;
  }

  /** The snapshot's own entry that says the same, so that it is in memory once. */
  sameAs(entry: ManifestEntry): ManifestEntry | undefined {
    const before = this.#finder.entryOf(entry.path);
    return isDeepStrictEqual(before, entry) ? before : undefined;
  }

  /** Whether who has this snapshot's packs of a layer has an object. */
  knows(layer: Layer, digest: Digest): boolean {
    return this.#known[layer].has(digest);
  }
}

/** Reads any object of some layers of a snapshot. */
export async function openObjects(
  source: Source,
  statement: SnapshotStatement,
  wanted: readonly Layer[],
): Promise<ObjectReader> {
  const readers: PackReader[] = [];
  for (const layer of layersFor(wanted)) readers.push(...(await openWay(source, statement, layer)));
  return new ObjectReader(readers);
}
