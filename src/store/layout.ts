/** Where things lie in a store: paths on disk, and below `/store/` in URLs. See docs/format.md. */
import { BladerootError } from '../errors.ts';
import { isDigest, type Digest } from './digest.ts';

export const FOLDERS = ['blobs', 'manifests', 'packs', 'snapshots', 'tmp'] as const;

export const blobPath = (digest: Digest): string => `blobs/${checked(digest)}`;
export const manifestPath = (id: Digest): string => `manifests/${checked(id)}.zst`;
export const packPath = (id: Digest): string => `packs/${checked(id)}.pack`;
export const packIndexPath = (id: Digest): string => `packs/${checked(id)}.json`;
/** A pack that is being fetched; it outlives the process, so that the next one resumes. */
export const partialPackPath = (id: Digest): string => `packs/${checked(id)}.part`;
export const snapshotPath = (id: Digest): string => `snapshots/${checked(id)}.json`;

/** Ids come from signed statements, URLs and command lines: none may become a path that leads elsewhere. */
function checked(digest: Digest): Digest {
  if (isDigest(digest)) return digest;
  throw new BladerootError('BAD_DIGEST', `${JSON.stringify(digest)} is not a SHA-256 in hex`);
}
