import { BladerootError } from '../errors.ts';
import type { Digest } from '../store/digest.ts';
import type { Store } from '../store/store.ts';
import type { ReleaseRepository } from './repository.ts';
import { releaseSnapshots } from './statement.ts';

/**
 * Removes snapshots from the list, and the tags that stand for them; the room that they take is freed by collecting
 * garbage. The caller has the store's lock alone, so that no release begins to need one of them meanwhile.
 * @returns the tags that went
 * @throws BladerootError `SNAPSHOT_IN_USE` when a release needs one of them: then none is removed
 */
export async function removeSnapshots(
  store: Store,
  releases: ReleaseRepository,
  ids: readonly Digest[],
): Promise<string[]> {
  for (const release of await releases.all()) {
    const needed = releaseSnapshots(release).find(({ id }) => ids.includes(id));
    if (needed === undefined) continue;
    throw new BladerootError(
      'SNAPSHOT_IN_USE',
      `snapshot ${needed.id.slice(0, 12)} is what release ${release.sequence} installs`,
      { hint: 'it stays as long as there is such a release' },
    );
  }
  const tags: string[] = [];
  for (const [tag, id] of await store.readTags()) if (ids.includes(id)) tags.push(tag);
  for (const tag of tags) await store.removeTag(tag);
  for (const id of ids) await store.unlistSnapshot(id);
  return tags;
}
