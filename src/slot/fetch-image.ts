/** Fetches the image and unpacks it while it comes; all that it is made of stays on the blade, to be served again. */
import type { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { SignedRelease } from '../release/repository.ts';
import { releaseBlobs, releaseSnapshots } from '../release/statement.ts';
import { fetchSnapshot, type SignedSnapshot } from '../release/snapshots.ts';
import { fetchSnapshotManifest } from '../image/manifest-files.ts';
import { openWay } from '../image/packed-base.ts';
import { unpackSnapshot, type Unpacked } from '../image/unpack.ts';
import { sha256, type Digest } from '../store/digest.ts';
import { LAYERS, type Layer } from '../store/pack-index.ts';
import { fetchBlob } from '../store/fetch.ts';
import type { Source } from '../store/source.ts';
import type { Store } from '../store/store.ts';

export interface FetchRequest {
  release: SignedRelease;
  /** The one that is unpacked: `release`, or the older one to which that pins this blade. */
  toRun: SignedRelease;
  publicKey: KeyObject;
  source: Source;
  /** The blade's own store: gets everything that the release is made of. */
  mirror: Store;
  /** The mounted slot: empty, or with another release in it, of which what is the same stays. */
  directory: string;
  /** The other slot, where it is mounted: what it has is not fetched. */
  beside?: string | undefined;
  /** Bytes that are unpacked, of how many, and how many in a second. */
  onProgress?: ((done: number, total: number, rate: number) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** The layers that a blade runs on. */
export const BLADE_LAYERS: readonly Layer[] = ['run'];

/**
 * Fetches what the slot needs and unpacks it.
 * @returns what had to be done in the slot
 * @throws BladerootError when anything that came is not what the signed release says; the slot is then not to be used
 */
export async function fetchImage(request: FetchRequest): Promise<Unpacked> {
  return await holdingStore(request, async () => {
    const { release, toRun, source, mirror, directory, beside, onProgress, signal } = request;
    for (const { digest, bytes } of [release, toRun].flatMap(({ statement }) => releaseBlobs(statement))) {
      if (!(await holds(mirror, digest))) {
        await mirror.putBlob(await fetchBlob(source, digest, bytes, { signal }));
      }
    }
    const { statement } = await fetchSnapshot(source, toRun.statement.snapshot.id, request.publicKey);
    const begun = performance.now();
    return await unpackSnapshot({
      statement,
      source,
      mirror,
      partly: beside !== undefined,
      beside,
      directory,
      layers: BLADE_LAYERS,
      signal,
      onProgress: ({ bytesDone, bytesTotal }) => {
        const seconds = (performance.now() - begun) / 1000;
        onProgress?.(bytesDone, bytesTotal, bytesDone / Math.max(seconds, 0.001));
      },
    });
  });
}

/**
 * Reads all content in the slot, and writes anew what is not what the release says.
 * @returns what had to be done: nothing, where the slot is what it is to be
 */
export async function checkImage(request: FetchRequest): Promise<Unpacked> {
  return await holdingStore(request, async () => {
    const { toRun, source, mirror, directory, signal, publicKey } = request;
    const { statement } = await fetchSnapshot(source, toRun.statement.snapshot.id, publicKey);
    const options = { statement, source, mirror, directory, layers: BLADE_LAYERS, signal };
    return await unpackSnapshot({ ...options, partly: true, checksum: true });
  });
}

/**
 * Fetches all else that the release is made of. What only maintenance needs is not unpacked, and neither is what only other
 * blades run, but a blade has to be able to be the root.
 */
export async function fetchRest(request: FetchRequest): Promise<void> {
  await holdingStore(request, async () => {
    const { release, toRun, source, publicKey } = request;
    const snapshots = [toRun.statement.snapshot, ...releaseSnapshots(release.statement)];
    for (const id of new Set(snapshots.map((snapshot) => snapshot.id))) {
      await mirrorSnapshot(request, await fetchSnapshot(source, id, publicKey));
    }
  });
}

/** Brings a snapshot into the blade's store, which then has all of it. */
async function mirrorSnapshot(
  { source, mirror, toRun, signal }: FetchRequest,
  { statement, envelope }: SignedSnapshot,
): Promise<void> {
  const options = { mirror, signal };
  if (!(await mirror.hasManifest(statement.id))) await fetchSnapshotManifest(source, statement, options);
  for (const layer of LAYERS) {
    const isUnpacked = statement.id === toRun.statement.snapshot.id && BLADE_LAYERS.includes(layer);
    for (const pack of await openWay(source, statement, layer, options)) {
      // What was read to be unpacked was checked then.
      if (!isUnpacked || !(await mirror.hasPack(pack.id))) await pack.mirrorAll();
    }
  }
  // Last: a snapshot that a store lists is whole.
  await mirror.putSnapshot(statement.id, envelope);
}

async function holdingStore<T>({ mirror, signal }: FetchRequest, work: () => Promise<T>): Promise<T> {
  const unlock = await mirror.lock('shared', { signal });
  try {
    return await work();
  } finally {
    await unlock();
  }
}

/** Whole, too: what a disk has lost since is fetched again. */
async function holds(mirror: Store, digest: Digest): Promise<boolean> {
  return (await mirror.hasBlob(digest)) && sha256(await readFile(mirror.blobPath(digest))) === digest;
}
