/**
 * Packs get old: what no snapshot needs any more is fetched with the rest by every blank blade, and patches hang on
 * patches. Then a full pack is made, as git does; or one for those who have a certain older snapshot. Both are further
 * ways to the same snapshot: what was there stays there, so that nothing is unfetchable at any time.
 */
import type { Digest } from '../store/digest.ts';
import { DirectorySource } from '../store/directory-source.ts';
import { ObjectReader } from '../store/object-reader.ts';
import { LAYERS, type Layer, type ObjectRef } from '../store/pack-index.ts';
import { startsOf, type PackReader } from '../store/pack-reader.ts';
import type { WrittenPack } from '../store/pack-writer.ts';
import type { Store } from '../store/store.ts';
import { BaseFinder } from './bases.ts';
import type { BytePath } from './byte-path.ts';
import { storeManifestDelta } from './manifest-files.ts';
import { parseManifest, type FileEntry, type ManifestEntry } from './manifest.ts';
import { withPackers } from './object-packer.ts';
import { PackedBase, openWay } from './packed-base.ts';
import {
  blankBytes,
  layerOf,
  waysByCost,
  type PackWay,
  type SnapshotLayer,
  type SnapshotStatement,
} from './statement.ts';

/** More packs than this, one upon the other, are made one. */
const MAX_CHAIN = 16;
/** As soon as more than this share of what a blank blade fetches is of no use to it. */
const MAX_OBSOLETE = 0.3;

export interface RepackOptions {
  /** Makes packs for who has this snapshot, instead of full ones. */
  from?: SnapshotStatement | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((done: { bytesDone: number; bytesTotal: number }) => void) | undefined;
}

/** Whether a snapshot has become costly for a blank blade. */
export async function needsRepack(store: Store, statement: SnapshotStatement): Promise<boolean> {
  const chains = statement.layers.map((layer) => waysByCost(layer)[0] ?? []);
  if (chains.some(({ length }) => length > MAX_CHAIN)) return true;
  // One pack has what its snapshot needs, and nothing else.
  if (chains.every(({ length }) => length < 2)) return false;
  const entries = parseManifest(await store.readManifest(statement.id));
  const contents = contentsByLayer(entries);
  const needed = new Set<Digest>(
    LAYERS.flatMap((layer) => contents[layer]).map(({ object }) => object.digest),
  );
  let total = 0;
  let used = 0;
  for (const layer of LAYERS.toReversed()) {
    const packs = await openWay(new DirectorySource(store.directory), statement, layer);
    // The last first: what a patch is based on is in packs before.
    for (const pack of packs.toReversed()) {
      total += pack.index.bytes;
      used += usedBytes(pack, needed);
    }
  }
  return total > 0 && (total - used) / total > MAX_OBSOLETE;
}

/** What is of use in a pack; adds to `needed` what its patches are based on. */
function usedBytes({ index }: PackReader, needed: Set<Digest>): number {
  const starts = startsOf(index.frames.map(({ size }) => size));
  const useful = index.frames.map(() => 0);
  let start = 0;
  let frame = 0;
  for (const { digest, size } of index.objects) {
    while ((starts[frame + 1] ?? Infinity) <= start) frame++;
    if (needed.has(digest)) {
      for (let each = frame; (starts[each] ?? Infinity) < start + size; each++) {
        const from = Math.max(start, starts[each] ?? 0);
        const to = Math.min(start + size, (starts[each] ?? 0) + (index.frames[each]?.size ?? 0));
        useful[each] = (useful[each] ?? 0) + to - from;
      }
    }
    start += size;
  }
  return index.frames.reduce((sum, { bytes, size, bases = [] }, i) => {
    const share = (useful[i] ?? 0) / size;
    if (share > 0) for (const { digest } of bases) needed.add(digest);
    return sum + bytes * share;
  }, 0);
}

/**
 * Makes a full pack of each layer, or packs upon another snapshot's.
 * @returns the statement with the new ways; it is to be signed, and in place of the old one, by the caller
 */
export async function repack(
  store: Store,
  statement: SnapshotStatement,
  options: RepackOptions = {},
): Promise<SnapshotStatement> {
  const source = new DirectorySource(store.directory);
  const entries = parseManifest(await store.readManifest(statement.id));
  const contents = contentsByLayer(entries);
  const base = options.from === undefined ? undefined : await PackedBase.open(store, options.from);
  const all = LAYERS.flatMap((layer) => contents[layer]);
  const progress = { bytesDone: 0, bytesTotal: all.reduce((sum, { object }) => sum + object.size, 0) };
  const reader = new ObjectReader([
    ...(await openWay(source, statement, 'run')),
    ...(await openWay(source, statement, 'extra')),
  ]);
  const layers = await withPackers(async (_threads, createPacker) => {
    const made: SnapshotLayer[] = [];
    for (const layer of statement.layers) {
      const bases = base?.objects[layer.name];
      const known = (digest: Digest): boolean => base?.knows(layer.name, digest) === true;
      const packer = await createPacker({ store, layer: layer.name, known, bases, signal: options.signal });
      const finder = base && bases && new BaseFinder(base.entries, bases);
      for (const { object, path, from, total } of contents[layer.name]) {
        progress.bytesDone += object.size;
        options.onProgress?.(progress);
        if (known(object.digest)) continue;
        await packer.add({
          length: object.size,
          content: await reader.read(object.digest),
          bases: finder?.basesFor(path, from, object.size, total) ?? [],
          onDigest: () => undefined,
        });
      }
      made.push(withWay(layer, await packer.finish(), base?.statement));
    }
    return made;
  });
  const manifest =
    base === undefined
      ? statement.manifest
      : await storeManifestDelta(store, statement.manifest, statement.id, base.statement.id);
  return { ...statement, manifest, layers, storedBytes: blankBytes(layers, manifest.storedBytes) };
}

/** A layer with one more way to it, unless that way is known. */
function withWay(
  layer: SnapshotLayer,
  packs: readonly WrittenPack[],
  base: SnapshotStatement | undefined,
): SnapshotLayer {
  const before = base === undefined ? undefined : layerOf(base, layer.name);
  const way: PackWay = [
    ...((before && waysByCost(before)[0]) ?? []),
    ...packs.map(({ id, bytes, indexBytes }) => ({ id, bytes, indexBytes })),
  ];
  const isKnown = layer.ways.some((each) => idsOf(each) === idsOf(way));
  return isKnown ? layer : { ...layer, ways: [[...way], ...layer.ways] };
}

function idsOf(way: PackWay): string {
  return way.map(({ id }) => id).join();
}

/** A content, and where in which file it is found first. */
interface PlacedContent {
  object: ObjectRef;
  path: BytePath;
  from: number;
  total: number;
}

/** The contents of each layer, each once, in the order of their paths; what both need is in `run`. */
function contentsByLayer(entries: readonly ManifestEntry[]): Record<Layer, PlacedContent[]> {
  const linkedInRun = new Set<BytePath>();
  for (const entry of entries) {
    if (entry.type === 'hardlink' && entry.layer === 'run') linkedInRun.add(entry.target);
  }
  const files = entries.filter((entry): entry is FileEntry => entry.type === 'file');
  const isInRun = ({ layer, path }: FileEntry): boolean => layer === 'run' || linkedInRun.has(path);
  const seen = new Set<Digest>();
  const place = (file: FileEntry): PlacedContent[] => {
    const total = file.objects.reduce((sum, { size }) => sum + size, 0);
    const starts = startsOf(file.objects.map(({ size }) => size));
    return file.objects.flatMap((object, i) => {
      if (seen.has(object.digest)) return [];
      seen.add(object.digest);
      return [{ object, path: file.path, from: starts[i] ?? 0, total }];
    });
  };
  const run = files.filter(isInRun).flatMap(place);
  return { run, extra: files.filter((file) => !isInRun(file)).flatMap(place) };
}
