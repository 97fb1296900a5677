/** How a manifest lies in a store, and what it takes to fetch it. */
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { errorCode } from '../errors.ts';
import type { Digest } from '../store/digest.ts';
import type { Store } from '../store/store.ts';
import { fetchBytes, fetchManifest, type FetchOptions } from '../store/fetch.ts';
import { manifestDeltaPath } from '../store/layout.ts';
import type { Source } from '../store/source.ts';
import { applyManifestDelta, encodeManifestDelta } from './manifest-delta.ts';
import type { SnapshotStatement } from './statement.ts';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

type ManifestFacts = SnapshotStatement['manifest'];

/** The facts of a manifest that was just stored. */
export async function manifestFacts(store: Store, id: Digest, bytes: number): Promise<ManifestFacts> {
  return { bytes, storedBytes: await store.manifestBytes(id), deltas: [] };
}

/** Stores what makes a manifest of another snapshot's, where that is shorter than the whole. */
export async function storeManifestDelta(
  store: Store,
  facts: ManifestFacts,
  id: Digest,
  base: Digest,
): Promise<ManifestFacts> {
  if (base === id || facts.deltas.some((delta) => delta.base === base)) return facts;
  const [manifest, other] = [await store.readManifest(id), await store.readManifest(base)];
  const delta = await compress(encodeManifestDelta(manifest, other));
  if (delta.length >= facts.storedBytes) return facts;
  await store.putManifestDelta(id, base, delta);
  return { ...facts, deltas: [...facts.deltas, { base, bytes: delta.length }] };
}

/**
 * The manifest of a snapshot: out of the mirror where it is there, made of one that is there where that is shorter, else
 * from the source. A mirror has it afterwards.
 * @throws BladerootError `MANIFEST_DAMAGED`, and what the source throws
 */
export async function fetchSnapshotManifest(
  source: Source,
  statement: SnapshotStatement,
  options: FetchOptions & { mirror?: Store | undefined } = {},
): Promise<Buffer> {
  const { mirror } = options;
  const ref = { id: statement.id, ...statement.manifest };
  if (mirror !== undefined && !(await mirror.hasManifest(statement.id))) {
    for (const delta of statement.manifest.deltas) {
      const manifest = await fromDelta(source, statement, delta, mirror, options);
      if (manifest === undefined) continue;
      await mirror.putManifest(headerFirst(manifest));
      return manifest;
    }
  }
  return await fetchManifest(source, ref, options);
}

/**
 * Cut as whoever packed it has cut it (`manifestParts`): a short one in a single piece would be compressed to other bytes,
 * and who fetches it from here would not find the length that was signed.
 */
function headerFirst(manifest: Buffer): Buffer[] {
  const end = manifest.indexOf('\n') + 1;
  return [manifest.subarray(0, end), manifest.subarray(end)];
}

/** Undefined where the mirror has nothing to make it of, or it does not come out right: then it is fetched as a whole. */
async function fromDelta(
  source: Source,
  { id, manifest }: SnapshotStatement,
  { base, bytes }: ManifestFacts['deltas'][number],
  mirror: Store,
  options: FetchOptions,
): Promise<Buffer | undefined> {
  if (!(await mirror.hasManifest(base))) return undefined;
  try {
    const stored = await fetchBytes(source, manifestDeltaPath(id, base), { ...options, maxBytes: bytes });
    const delta = await decompress(stored, { maxOutputLength: manifest.bytes });
    return applyManifestDelta(delta, await mirror.readManifest(base), id, manifest.bytes);
  } catch (error) {
    const code = errorCode(error);
    const isOfNoUse = code === 'MANIFEST_DAMAGED' || code === 'SOURCE_MISSING' || code === 'SOURCE_TOO_LONG';
    if (!isOfNoUse && !(code?.startsWith('ZSTD_') ?? false) && code !== 'ERR_BUFFER_TOO_LARGE') throw error;
    return undefined;
  }
}
