/** Fetches the image and unpacks it while it comes; all that it is made of stays on the blade, to be served again. */
import type { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { SignedRelease } from '../release/repository.ts';
import { releaseBlobs, releaseSnapshots } from '../release/statement.ts';
import { fetchSnapshot, type SignedSnapshot } from '../release/snapshots.ts';
import { fetchSnapshotManifest } from '../image/manifest-files.ts';
import { openWay } from '../image/packed-base.ts';
import { unpackSnapshot } from '../image/unpack.ts';
import { sha256, type Digest } from '../store/digest.ts';
import { LAYERS, type Layer } from '../store/pack-index.ts';
import { fetchBlob } from '../store/fetch.ts';
import type { Source } from '../store/source.ts';
import type { Store } from '../store/store.ts';
import type { Reporter } from './reporter.ts';

export interface FetchRequest {
  release: SignedRelease;
  /** The one that is unpacked: `release`, or the older one to which that pins this blade. */
  toRun: SignedRelease;
  publicKey: KeyObject;
  source: Source;
  /** The blade's own store: gets everything that the release is made of. */
  mirror: Store;
  /** The mounted, empty slot. */
  directory: string;
  reporter: Reporter;
}

/** The layers that a blade runs on. */
export const BLADE_LAYERS: readonly Layer[] = ['run'];

/** @throws BladerootError when anything that came is not what the signed release says; the slot is then not to be used */
export async function fetchImage(request: FetchRequest): Promise<void> {
  const unlock = await request.mirror.lock('shared');
  try {
    await fetchAndUnpack(request);
  } finally {
    await unlock();
  }
}

async function fetchAndUnpack(request: FetchRequest): Promise<void> {
  const { release, toRun, source, mirror, directory, reporter } = request;
  const unpacked = toRun.statement.snapshot.id;
  for (const { digest, bytes } of [release, toRun].flatMap(({ statement }) => releaseBlobs(statement))) {
    if (!(await holds(mirror, digest))) await mirror.putBlob(await fetchBlob(source, digest, bytes));
  }
  const snapshot = await fetchSnapshot(source, unpacked, request.publicKey);
  const begun = performance.now();
  await unpackSnapshot({
    statement: snapshot.statement,
    source,
    mirror,
    directory,
    layers: BLADE_LAYERS,
    onProgress: ({ bytesDone, bytesTotal }) => {
      const seconds = (performance.now() - begun) / 1000;
      reporter.progress('fetch', bytesDone, bytesTotal, bytesDone / Math.max(seconds, 0.001));
    },
  });
  // What only maintenance needs is not unpacked, and neither is what only other blades run, but a blade has to be able to be
  // the root.
  const rest = LAYERS.filter((name) => !BLADE_LAYERS.includes(name));
  await mirrorSnapshot(request, snapshot, rest);
  for (const { id } of releaseSnapshots(release.statement)) {
    if (id === unpacked) continue;
    await mirrorSnapshot(request, await fetchSnapshot(source, id, request.publicKey), LAYERS);
  }
}

/** Brings layers of a snapshot into the blade's store, which then has all of it. */
async function mirrorSnapshot(
  { source, mirror }: FetchRequest,
  { statement, envelope }: SignedSnapshot,
  layers: readonly Layer[],
): Promise<void> {
  if (!(await mirror.hasManifest(statement.id))) await fetchSnapshotManifest(source, statement, { mirror });
  for (const layer of layers) {
    for (const pack of await openWay(source, statement, layer, { mirror })) await pack.mirrorAll();
  }
  // Last: a snapshot that a store lists is whole.
  await mirror.putSnapshot(statement.id, envelope);
}

/** Whole, too: what a disk has lost since is fetched again. */
async function holds(mirror: Store, digest: Digest): Promise<boolean> {
  return (await mirror.hasBlob(digest)) && sha256(await readFile(mirror.blobPath(digest))) === digest;
}
