/** What is signed about a snapshot: all that a blade needs to know to fetch and check every byte of it. */
import { z } from 'zod';
import { digestSchema } from '../store/digest.ts';
import { LAYERS } from '../store/pack-index.ts';
import type { PackedTree } from './pack.ts';

const count = z.int().min(0);

export const snapshotStatementSchema = z.strictObject({
  type: z.literal('bladeroot-snapshot'),
  version: z.literal(1),
  /** SHA-256 of the manifest. */
  id: digestSchema,
  /** The tree's name. */
  tree: z.string(),
  created: z.iso.datetime(),
  /** Lengths in bytes: of the manifest, and of its compressed form in a store. */
  manifest: z.strictObject({ bytes: count, storedBytes: count }),
  layers: z.array(
    z.strictObject({
      name: z.enum(LAYERS),
      entries: count,
      /** Of the files' content. */
      bytes: count,
      objects: count,
      /** In the order in which they are unpacked; bytes are those of the pack file. */
      packs: z.array(z.strictObject({ id: digestSchema, bytes: count })),
    }),
  ),
  /** What a blank blade fetches: manifest, packs and their indexes. */
  storedBytes: count,
});

export type SnapshotStatement = z.infer<typeof snapshotStatementSchema>;

export function snapshotStatement(packed: PackedTree, tree: string, created: Date): SnapshotStatement {
  const { id, manifest, layers, storedBytes } = packed;
  return {
    type: 'bladeroot-snapshot',
    version: 1,
    id,
    tree,
    created: created.toISOString(),
    manifest: { bytes: manifest.bytes, storedBytes: manifest.storedBytes },
    layers,
    storedBytes,
  };
}
