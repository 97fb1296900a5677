/** Where things lie in a store: paths on disk, and below `/store/` in URLs. See docs/format.md. */
import { BladerootError } from '../errors.ts';
import { isDigest, type Digest } from './digest.ts';

export const FOLDERS = ['blobs', 'manifests', 'packs', 'snapshots', 'tags', 'tmp'] as const;

export const blobPath = (digest: Digest): string => `blobs/${checked(digest)}`;
export const manifestPath = (id: Digest): string => `manifests/${checked(id)}.zst`;
/** A manifest for who has the manifest `base`. */
export const manifestDeltaPath = (id: Digest, base: Digest): string =>
  `manifests/${checked(id)}.from.${checked(base)}.zst`;
export const packPath = (id: Digest): string => `packs/${checked(id)}.pack`;
export const packIndexPath = (id: Digest): string => `packs/${checked(id)}.json.zst`;
/** A pack that is being fetched; it outlives the process, so that the next one resumes. */
export const partialPackPath = (id: Digest): string => `packs/${checked(id)}.part`;
export const snapshotPath = (id: Digest): string => `snapshots/${checked(id)}.json`;
/** Holds the id that a name stands for. */
export const tagPath = (tag: string): string => `tags/${checkedTag(tag)}`;

/** What may be asked of a store over HTTP: nothing else in its folder is handed out. */
export const PUBLIC_FILE =
  /^(?:blobs\/[0-9a-f]{64}|manifests\/[0-9a-f]{64}(?:\.from\.[0-9a-f]{64})?\.zst|packs\/[0-9a-f]{64}\.(?:pack|json\.zst)|snapshots\/[0-9a-f]{64}\.json|tags\/[A-Za-z0-9_][\w.+-]{0,99})$/;

/** What may be removed from a store when nothing names it: not what lists things, and not what is strange there. */
export function isCollectable(path: string): boolean {
  return /^(?:blobs|manifests|packs)\//.test(path) && (PUBLIC_FILE.test(path) || PARTIAL_PACK.test(path));
}

const PARTIAL_PACK = /^packs\/[0-9a-f]{64}\.part$/;

/** Ids come from signed statements, URLs and command lines: none may become a path that leads elsewhere. */
function checked(digest: Digest): Digest {
  if (isDigest(digest)) return digest;
  throw new BladerootError('BAD_DIGEST', `${JSON.stringify(digest)} is not a SHA-256 in hex`);
}

export function isTag(text: string): boolean {
  return /^[A-Za-z0-9_][\w.+-]{0,99}$/.test(text);
}

function checkedTag(tag: string): string {
  if (isTag(tag)) return tag;
  throw new BladerootError('BAD_TAG', `${JSON.stringify(tag)} cannot be a tag`, {
    hint: 'a tag has up to 100 letters, digits and . _ + -, and starts with a letter, a digit or _',
  });
}
