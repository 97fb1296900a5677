/** What is signed about a snapshot: all that a blade needs to know to fetch and check every byte of it. */
import { z } from 'zod';
import type { Digest } from '../store/digest.ts';
import { digestSchema } from '../store/digest-schema.ts';
import { LAYERS, type Layer } from '../store/pack-index.ts';

const count = z.int().min(0);

/** Lengths in bytes: of the pack file, and of its index as it is stored. */
const packRefSchema = z.strictObject({ id: digestSchema, bytes: count, indexBytes: count });

const layerSchema = z.strictObject({
  name: z.enum(LAYERS),
  entries: count,
  /** Of the files' data. */
  bytes: count,
  objects: count,
  /**
   * Lists of packs, each of which has all that the layer needs (`extra` together with what `run` has), in the order in
   * which they are unpacked: a full pack, or an older one and those that came after it.
   */
  ways: z.array(z.array(packRefSchema)).min(1),
});

export const snapshotStatementSchema = z.strictObject({
  type: z.literal('bladeroot-snapshot'),
  version: z.literal(1),
  /** SHA-256 of the manifest. */
  id: digestSchema,
  /** The tree's name. */
  tree: z.string(),
  created: z.iso.datetime(),
  manifest: z.strictObject({
    /** Lengths in bytes: of the manifest, and of its compressed form in a store. */
    bytes: count,
    storedBytes: count,
    /** What it takes, in bytes, for who has the manifest `base`. */
    deltas: z.array(z.strictObject({ base: digestSchema, bytes: count })),
  }),
  layers: z.array(layerSchema),
  /** What a blank blade fetches: manifest, packs and their indexes, by the shortest ways. */
  storedBytes: count,
});

export type SnapshotStatement = z.infer<typeof snapshotStatementSchema>;
export type SnapshotLayer = z.infer<typeof layerSchema>;
export type PackRef = z.infer<typeof packRefSchema>;
export type PackWay = readonly PackRef[];

export function snapshotStatement(
  packed: Pick<SnapshotStatement, 'id' | 'manifest' | 'layers' | 'storedBytes'>,
  tree: string,
  created: Date,
): SnapshotStatement {
  const { id, manifest, layers, storedBytes } = packed;
  return {
    type: 'bladeroot-snapshot',
    version: 1,
    id,
    tree,
    created: created.toISOString(),
    manifest,
    layers,
    storedBytes,
  };
}

/** The layer of a snapshot; undefined when it has none of that name. */
export function layerOf(statement: SnapshotStatement, name: Layer): SnapshotLayer | undefined {
  return statement.layers.find((layer) => layer.name === name);
}

/** What a way costs, in bytes, who has some packs already. */
export function missingBytes(way: PackWay, has: ReadonlySet<Digest> = new Set()): number {
  return way.reduce((sum, { id, bytes, indexBytes }) => sum + (has.has(id) ? 0 : bytes + indexBytes), 0);
}

/** The ways of a layer, the one with the least to fetch first. */
export function waysByCost(layer: SnapshotLayer, has: ReadonlySet<Digest> = new Set()): PackWay[] {
  return layer.ways.toSorted((a, b) => missingBytes(a, has) - missingBytes(b, has) || a.length - b.length);
}

/** What a blank blade fetches of these layers. */
export function blankBytes(layers: readonly SnapshotLayer[], manifestBytes: number): number {
  return layers.reduce((sum, layer) => sum + missingBytes(waysByCost(layer)[0] ?? []), manifestBytes);
}

/** All packs that a statement names, each once. */
export function packsOf(statement: SnapshotStatement): PackRef[] {
  const all = statement.layers.flatMap((layer) => layer.ways.flat());
  return [...new Map(all.map((pack) => [pack.id, pack])).values()];
}

/** The layers that have to be read for those that are wanted: contents that both have are in `run`. */
export function layersFor(wanted: readonly Layer[]): Layer[] {
  return wanted.includes('extra') ? [...LAYERS] : ['run'];
}

/** Of all files' data, in bytes. */
export function contentBytes(snapshot: SnapshotStatement): number {
  return snapshot.layers.reduce((sum, layer) => sum + layer.bytes, 0);
}
