/** For tests of crashes: whether a store is what it should be, whatever happened to who wrote it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { parseManifest } from '../src/image/manifest.ts';
import { contentBytes, type SnapshotStatement } from '../src/image/statement.ts';
import { readPublicKey } from '../src/release/keys.ts';
import { readSnapshots } from '../src/release/snapshots.ts';
import { DirectorySource } from '../src/store/directory-source.ts';
import { ObjectReader } from '../src/store/object-reader.ts';
import { PackReader } from '../src/store/pack-reader.ts';
import { Store } from '../src/store/store.ts';

/**
 * Requires that each snapshot that a store lists is whole: its signature is right, and by every way of its layers each
 * object that its manifest names can be read, and is what its digest says.
 * @param state the state directory; the store is opened, and so cleaned up, as any command does it
 */
export async function assertWhole(state: string): Promise<SnapshotStatement[]> {
  const store = await Store.open(join(state, 'store'));
  const source = new DirectorySource(store.directory);
  const snapshots = await readSnapshots(store, await readPublicKey(state));
  for (const statement of snapshots) {
    const [run, extra] = statement.layers;
    assert.ok(run !== undefined && extra !== undefined);
    const entries = parseManifest(await store.readManifest(statement.id));
    const objects = entries.flatMap((entry) => (entry.type === 'file' ? entry.objects : []));
    assert.equal(
      objects.reduce((sum, { size }) => sum + size, 0),
      contentBytes(statement),
    );
    for (const [i, way] of run.ways.entries()) {
      const packs = [...way, ...(extra.ways[i] ?? extra.ways[0] ?? [])];
      const readers = await Promise.all(packs.map(async ({ id }) => await PackReader.open(source, id)));
      const reader = new ObjectReader(readers);
      for (const { digest, size } of objects) assert.equal((await reader.read(digest)).length, size);
    }
  }
  return snapshots;
}
