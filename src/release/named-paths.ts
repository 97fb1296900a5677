import { packsOf, type SnapshotStatement } from '../image/statement.ts';
import {
  blobPath,
  manifestDeltaPath,
  manifestPath,
  packIndexPath,
  packPath,
  partialPackPath,
  snapshotPath,
} from '../store/layout.ts';
import { releaseBlobs, type ReleaseStatement } from './statement.ts';

/** All paths in a store that snapshots and releases name, and those of packs that are being fetched for them. */
export function pathsNamedBy(
  snapshots: readonly SnapshotStatement[],
  releases: readonly ReleaseStatement[],
): Set<string> {
  const paths = new Set<string>();
  for (const snapshot of snapshots) {
    const { id, manifest } = snapshot;
    paths.add(snapshotPath(id)).add(manifestPath(id));
    for (const { base } of manifest.deltas) paths.add(manifestDeltaPath(id, base));
    for (const pack of packsOf(snapshot)) {
      paths.add(packPath(pack.id)).add(packIndexPath(pack.id)).add(partialPackPath(pack.id));
    }
  }
  for (const { digest } of releases.flatMap(releaseBlobs)) paths.add(blobPath(digest));
  return paths;
}
