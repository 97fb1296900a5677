/** Which packs have all that a snapshot needs, going by their indexes. */
import type { Digest } from '../store/digest.ts';
import type { Layer, PackIndex } from '../store/pack-index.ts';
import { startsOf } from '../store/pack-reader.ts';
import type { ManifestEntry } from './manifest.ts';
import type { Store } from '../store/store.ts';
import { missingBytes, type PackRef, type PackWay, type SnapshotStatement } from './statement.ts';

/** A way for each layer of a snapshot. */
export interface Combination {
  ways: ReadonlyMap<Layer, PackWay>;
  /** All packs of it, each once, in the order in which they are unpacked. */
  packs: readonly PackRef[];
}

/** All that can be made of the ways of a snapshot's layers; first what has the least to fetch for who has some packs. */
export function combinationsOf(
  { layers }: SnapshotStatement,
  has: ReadonlySet<Digest> = new Set(),
): Combination[] {
  let made: Map<Layer, PackWay>[] = [new Map()];
  for (const { name, ways } of layers) {
    made = made.flatMap((chosen) => ways.map((way) => new Map([...chosen, [name, way]])));
  }
  return made
    .map((ways) => ({ ways, packs: distinct([...ways.values()].flat()) }))
    .toSorted((a, b) => missingBytes(a.packs, has) - missingBytes(b.packs, has));
}

function distinct(packs: readonly PackRef[]): PackRef[] {
  return [...new Map(packs.map((pack) => [pack.id, pack])).values()];
}

/**
 * The objects that a snapshot needs, and that cannot be had out of the packs of a combination: those of the layer `run`
 * out of its own packs, those of `extra` out of both.
 * @param indexOf the index of each of the packs
 */
export function missingObjects(
  { ways }: Combination,
  entries: readonly ManifestEntry[],
  indexOf: (id: Digest) => PackIndex,
): Digest[] {
  const missing = new Set<Digest>();
  const packs: PackRef[] = [];
  for (const [layer, way] of ways) {
    packs.push(...way);
    const found = readable(distinct(packs).map(({ id }) => indexOf(id)));
    for (const entry of entries) {
      if (entry.type !== 'file' || entry.layer !== layer) continue;
      for (const { digest, size } of entry.objects) if (found.get(digest) !== size) missing.add(digest);
    }
  }
  return [...missing];
}

/** The sizes of the objects in packs, where what patches are based on is in packs before them. */
function readable(indexes: readonly PackIndex[]): Map<Digest, number> {
  const found = new Map<Digest, number>();
  const seen = new Set<Digest>();
  for (const { frames, objects } of indexes) {
    const starts = startsOf(frames.map(({ size }) => size));
    const isReadable = frames.map(
      ({ bases }) => bases?.every(({ digest, size }) => found.get(digest) === size) ?? true,
    );
    const here: [Digest, number][] = [];
    let number = 0;
    let start = 0;
    for (const { digest, size } of objects) {
      while ((starts[number + 1] ?? Infinity) <= start) number++;
      let last = number;
      while ((starts[last + 1] ?? Infinity) < start + size) last++;
      // Where an object is in several packs, the first one's is read.
      if (!seen.has(digest) && !isReadable.slice(number, last + 1).includes(false)) here.push([digest, size]);
      seen.add(digest);
      start += size;
    }
    for (const [digest, size] of here) found.set(digest, size);
  }
  return found;
}

/** Whether the store has what a snapshot names, by a way for each layer; not whether that is sound. */
export async function isHere(store: Store, { id, layers }: SnapshotStatement): Promise<boolean> {
  if (!(await store.hasManifest(id))) return false;
  for (const { ways } of layers) {
    const here: boolean[] = [];
    for (const way of ways) here.push(await hasPacks(store, way));
    if (!here.includes(true)) return false;
  }
  return true;
}

async function hasPacks(store: Store, way: PackWay): Promise<boolean> {
  for (const { id } of way) if (!(await store.hasPack(id))) return false;
  return true;
}
