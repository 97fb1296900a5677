/** Takes from a blade's store what neither its slots nor the release of the fleet need any more. */
import { join } from 'node:path';
import type { KeyObject } from 'node:crypto';
import type { SnapshotStatement } from '../image/statement.ts';
import { collectGarbage } from '../release/collect-garbage.ts';
import { privateKeyFile } from '../release/keys.ts';
import type { ReleaseRepository, SignedRelease } from '../release/repository.ts';
import { releaseSnapshots } from '../release/statement.ts';
import { DATABASE } from '../state/database.ts';
import type { Store } from '../store/store.ts';
import { exists } from '../system/read-file.ts';

export interface DropOptions {
  stateDirectory: string;
  store: Store;
  releases: ReleaseRepository;
  publicKey: KeyObject;
  /** Numbers of releases that are needed, of those that are here. */
  needed: readonly number[];
  /** What is being fetched. */
  coming?: { snapshots: readonly SnapshotStatement[]; releases: readonly SignedRelease[] };
  signal: AbortSignal;
}

/**
 * Whoever has ever been the root keeps everything: releases to go back to, and snapshots that are packed and not published
 * yet, are an administrator's to remove.
 * @returns how many bytes were freed
 * @throws BladerootError `STORE_DAMAGED`; no pack and no blob is removed then
 */
export async function dropOld(options: DropOptions): Promise<number> {
  const { stateDirectory, store, releases, publicKey, needed, coming, signal } = options;
  if (await hasBeenRoot(stateDirectory)) return 0;
  const unlock = await store.lock('exclusive', { signal });
  try {
    // Releases first: one that is listed says that all of it is here.
    for (const sequence of await releases.sequences()) {
      if (!needed.includes(sequence)) await releases.remove(sequence);
    }
    const kept = new Set((await releases.all()).flatMap(releaseSnapshots).map(({ id }) => id));
    for (const id of await store.listSnapshots()) if (!kept.has(id)) await store.unlistSnapshot(id);
    const { bytes } = await collectGarbage({
      store,
      releases,
      publicKey,
      signal,
      coming: coming && {
        snapshots: coming.snapshots,
        releases: coming.releases.map(({ statement }) => statement),
      },
    });
    return bytes;
  } finally {
    await unlock();
  }
}

async function hasBeenRoot(stateDirectory: string): Promise<boolean> {
  if (await exists(join(stateDirectory, DATABASE))) return true;
  return (await privateKeyFile(stateDirectory)).kind !== 'elsewhere';
}
