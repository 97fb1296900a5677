/** A tree into a store: a manifest, and packs of the objects that the snapshot that it builds upon does not have. */
import { isDeepStrictEqual } from 'node:util';
import { LAYERS, type Layer } from '../store/pack-index.ts';
import type { WrittenPack } from '../store/pack-writer.ts';
import type { Store } from '../store/store.ts';
import type { Digest } from '../store/digest.ts';
import { endPhase } from '../system/collect-garbage.ts';
import { BaseFinder } from './bases.ts';
import { manifestParts, type ManifestEntry } from './manifest.ts';
import { manifestFacts, storeManifestDelta } from './manifest-files.ts';
import { withPackers, type ObjectPacker, type ObjectPackerOptions } from './object-packer.ts';
import { PackCache } from './pack-cache.ts';
import { PackedBase } from './packed-base.ts';
import { blankBytes, layerOf, type SnapshotLayer, type SnapshotStatement } from './statement.ts';
import { SeenTree, type SeenTreeOptions } from './seen-tree.ts';
import { isHere } from './ways.ts';
import { TreeReader, type TreeReaderOptions } from './tree-reader.ts';

export interface PackOptions extends TreeReaderOptions, SeenTreeOptions {
  /** The snapshot to build upon, whose signature the caller has checked; without one all is packed. */
  base?: SnapshotStatement | undefined;
  /** A folder for what was seen, so that the next time only what has changed is read. */
  cacheFolder?: string | undefined;
}

/** A snapshot as far as it is not signed; it is in the store, and nothing lists it yet. */
export interface PackedTree {
  /** SHA-256 of the manifest: the snapshot's id. */
  id: Digest;
  /** Lengths in bytes. */
  manifest: SnapshotStatement['manifest'];
  layers: SnapshotLayer[];
  /** What a blank blade fetches: manifest, packs and their indexes. */
  storedBytes: number;
  /** What who has the base does not have. */
  newObjects: number;
  newBytes: number;
  /** Files whose content was read. */
  filesRead: number;
  seconds: number;
}

/**
 * Packs the tree in a directory. The same tree gives the same id on any machine, at any time, in any locale.
 * @throws BladerootError `TREE_MISSING`, or `TREE_CHANGED` when it could not be read as it stands
 */
export async function packTree(
  directory: string,
  store: Store,
  options: PackOptions = {},
): Promise<PackedTree> {
  const started = performance.now();
  const seen = await SeenTree.open(directory, options);
  try {
    const { base, cacheFolder, onNote } = options;
    const cache =
      cacheFolder === undefined ? undefined : await PackCache.open(cacheFolder, directory, onNote);
    const isKnown = base !== undefined && cache?.isOf(base.id, seen.digest()) === true;
    const packed =
      isKnown && (await isHere(store, base)) ? unchanged(base) : await pack(seen, store, cache, options);
    return { ...packed, seconds: (performance.now() - started) / 1000 };
  } finally {
    seen.close();
  }
}

/** What comes of a tree that is what it was when its snapshot was made. */
function unchanged({ id, manifest, layers, storedBytes }: SnapshotStatement): Omit<PackedTree, 'seconds'> {
  return { id, manifest, layers, storedBytes, newObjects: 0, newBytes: 0, filesRead: 0 };
}

async function pack(
  seen: SeenTree,
  store: Store,
  cache: PackCache | undefined,
  options: PackOptions,
): Promise<Omit<PackedTree, 'seconds'>> {
  const base = options.base === undefined ? undefined : await PackedBase.open(store, options.base);
  await cache?.readEntries(store, base);
  const reader = await TreeReader.open(seen, cache, base, options);
  const { packs, isSame } = await withPackers(async ({ scanner, rest }, createPacker) => {
    const packers: ObjectPacker[] = [];
    for (const layer of LAYERS) {
      const packer = await createPacker(packingOf(layer, store, reader, base, options.signal));
      packers.push(packer);
      const finder = base && new BaseFinder(base.entries, base.objects[layer]);
      for await (const part of reader.parts(layer, scanner, finder)) await packer.add(part);
      await packer.drain();
    }
    // Their memory is what the index is made in.
    await rest();
    // A tree that is what the base was is all of it the base's: what changes from now on is for the next snapshot.
    const isSame = base !== undefined && isSameTree(reader.finish(), base.entries);
    // Only now does anything get its name: what was read is what there is.
    if (!isSame) await reader.requireUnchanged();
    endPhase();
    const packs: WrittenPack[] = [];
    for (const packer of packers) packs.push(...(await packer.finish()));
    return { packs, isSame };
  });
  const entries = reader.finish();
  const { id, manifest } =
    isSame && base !== undefined ? base.statement : await putManifest(store, entries, base);
  await cache?.write({ manifest: id, seen: reader.digest(), stamps: reader.stamps() });
  const layers = layersOf(entries, packs, base?.statement);
  return {
    id,
    manifest,
    layers,
    storedBytes: blankBytes(layers, manifest.storedBytes),
    newObjects: packs.reduce((sum, { objects }) => sum + objects, 0),
    newBytes: newBytes(packs, manifest, base?.statement.id, id),
    filesRead: reader.filesRead,
  };
}

async function putManifest(
  store: Store,
  entries: readonly ManifestEntry[],
  base: PackedBase | undefined,
): Promise<Pick<PackedTree, 'id' | 'manifest'>> {
  endPhase();
  const { id, bytes } = await store.putManifest(manifestParts(entries));
  const whole = await manifestFacts(store, id, bytes);
  const manifest = base === undefined ? whole : await storeManifestDelta(store, whole, id, base.statement.id);
  endPhase();
  return { id, manifest };
}

/** Most entries of what has not changed are the base's own, and nothing has to be compared. */
function isSameTree(entries: readonly ManifestEntry[], before: readonly ManifestEntry[]): boolean {
  if (entries.length !== before.length) return false;
  return entries.every((entry, i) => entry === before[i] || isDeepStrictEqual(entry, before[i]));
}

/** How a layer is packed, once what goes to the layers before it is. */
function packingOf(
  layer: Layer,
  store: Store,
  reader: TreeReader,
  base: PackedBase | undefined,
  signal: AbortSignal | undefined,
): Omit<ObjectPackerOptions, 'pool'> {
  // Whoever has `extra` has `run` too, by whatever way.
  const shared = layer === 'extra' ? reader.runObjects() : new Set<Digest>();
  const known = (digest: Digest): boolean => base?.knows(layer, digest) === true || shared.has(digest);
  return { store, layer, known, bases: base?.objects[layer], signal };
}

/** The layers of the snapshot; who has the base gets there by the packs that are new. */
export function layersOf(
  entries: readonly ManifestEntry[],
  packs: readonly WrittenPack[],
  base: SnapshotStatement | undefined,
): SnapshotLayer[] {
  return LAYERS.map((name) => {
    const own = entries.filter((entry) => entry.layer === name);
    const files = own.filter((entry) => entry.type === 'file');
    const objects = files.flatMap((file) => file.objects);
    const before = (base && layerOf(base, name)?.ways) ?? [[]];
    const added = packs
      .filter(({ layer }) => layer === name)
      .map(({ id, bytes, indexBytes }) => ({ id, bytes, indexBytes }));
    return {
      name,
      entries: own.length,
      bytes: objects.reduce((sum, { size }) => sum + size, 0),
      objects: new Set(objects.map(({ digest }) => digest)).size,
      ways: before.map((way) => [...way, ...added]),
    };
  });
}

function newBytes(
  packs: readonly WrittenPack[],
  manifest: SnapshotStatement['manifest'],
  baseId: Digest | undefined,
  id: Digest,
): number {
  if (baseId === id) return 0;
  const delta = manifest.deltas.find(({ base }) => base === baseId);
  const packBytes = packs.reduce((sum, { bytes, indexBytes }) => sum + bytes + indexBytes, 0);
  return packBytes + (delta?.bytes ?? manifest.storedBytes);
}
