/** The two ways that tests take again and again: a directory into a store, and out of it. */
import { DirectorySource } from '../../store/directory-source.ts';
import type { Store } from '../../store/store.ts';
import { packTree, type PackedTree, type PackOptions } from '../pack.ts';
import { snapshotStatement, type SnapshotStatement } from '../statement.ts';
import { unpackSnapshot, type UnpackOptions } from '../unpack.ts';

const CREATED = new Date('2026-01-02T03:04:05Z');

export interface Packed extends PackedTree {
  statement: SnapshotStatement;
}

export async function pack(directory: string, store: Store, options?: PackOptions): Promise<Packed> {
  const packed = await packTree(directory, store, options);
  return { ...packed, statement: snapshotStatement(packed, 'test', CREATED) };
}

export async function unpack(
  store: Store,
  statement: SnapshotStatement,
  directory: string,
  options: Partial<UnpackOptions> = {},
): Promise<void> {
  const source = new DirectorySource(store.directory);
  await unpackSnapshot({ statement, source, directory, ...options });
}
