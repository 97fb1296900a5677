/** Whether what an update fetches has room on the persistent partition: found out before anything is fetched. */
import { stat, statfs } from 'node:fs/promises';
import { BladerootError, errorCode } from '../errors.ts';
import { waysByCost, type SnapshotStatement } from '../image/statement.ts';
import type { SignedRelease } from '../release/repository.ts';
import { releaseBlobs } from '../release/statement.ts';
import type { Digest } from '../store/digest.ts';
import type { Store } from '../store/store.ts';

/** For what is written beside packs: the state of the blade, logs, directories. */
const MARGIN = 32 * 1024 ** 2;

export interface RoomRequest {
  /** On the partition whose room is meant. */
  store: Store;
  releases: readonly SignedRelease[];
  snapshots: readonly SnapshotStatement[];
}

/** What the store lacks of releases and their snapshots, in bytes, by the ways that it will be fetched by. */
export async function missingBytesOf({ store, releases, snapshots }: RoomRequest): Promise<number> {
  const lengths = new Map<Digest, number>();
  for (const { digest, bytes } of releases.flatMap(({ statement }) => releaseBlobs(statement))) {
    if (!(await store.hasBlob(digest))) lengths.set(digest, bytes);
  }
  for (const { id, manifest, layers } of snapshots) {
    if (!(await store.hasManifest(id))) lengths.set(id, manifest.storedBytes);
    for (const layer of layers) {
      const all = layer.ways.flat();
      const here = await Promise.all(all.map(async (pack) => await store.hasPack(pack.id)));
      const has = new Set(all.filter((_, i) => here[i] === true).map((pack) => pack.id));
      for (const { id: pack, bytes, indexBytes } of waysByCost(layer, has)[0] ?? []) {
        if (!has.has(pack)) lengths.set(pack, bytes + indexBytes - (await partOf(store, pack)));
      }
    }
  }
  return lengths.values().reduce((sum, bytes) => sum + Math.max(0, bytes), 0);
}

/** What a fetch that was interrupted has on the disk of a pack; it may have holes. */
async function partOf(store: Store, pack: Digest): Promise<number> {
  try {
    return (await stat(store.partialPackPath(pack))).blocks * 512;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 0;
    throw error;
  }
}

/**
 * @param makeRoom removes what nobody needs; called where there is too little
 * @throws BladerootError `NO_ROOM` that says how much is missing, and where
 */
export async function requireRoom(request: RoomRequest, makeRoom: () => Promise<unknown>): Promise<void> {
  const needed = (await missingBytesOf(request)) + MARGIN;
  const { directory } = request.store;
  if (needed <= (await freeBytes(directory))) return;
  await makeRoom();
  const free = await freeBytes(directory);
  if (needed <= free) return;
  throw new BladerootError(
    'NO_ROOM',
    `${megabytes(needed)} MB are needed at ${directory}, and ${megabytes(free)} MB are free there`,
    { hint: `remove ${megabytes(needed - free)} MB from that partition, or make it larger` },
  );
}

async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

function megabytes(bytes: number): number {
  return Math.ceil(bytes / 1e6);
}
