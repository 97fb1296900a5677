/** Small things out of a source, whole and checked. */
import { BladerootError, errorCode } from '../errors.ts';
import { sha256, type Digest } from './digest.ts';
import { blobPath, manifestPath } from './layout.ts';
import type { Source } from './source.ts';
import { decompressManifest, type Store } from './store.ts';

export interface FetchOptions {
  signal?: AbortSignal | undefined;
  /** Called with the number of bytes each time some have come from the source. */
  onBytes?: ((bytes: number) => void) | undefined;
}

/**
 * All bytes at a path; the caller checks them.
 * @throws BladerootError `SOURCE_TOO_LONG` when there are more than `maxBytes`, and what the source throws
 */
export async function fetchBytes(
  source: Source,
  path: string,
  options: FetchOptions & { maxBytes: number },
): Promise<Buffer> {
  const { maxBytes, signal, onBytes } = options;
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of await source.get(path, { signal })) {
    size += part.length;
    onBytes?.(part.length);
    if (size > maxBytes) {
      throw new BladerootError(
        'SOURCE_TOO_LONG',
        `${path} from ${source.name} is longer than ${maxBytes} bytes`,
      );
    }
    parts.push(part);
  }
  return Buffer.concat(parts, size);
}

/**
 * A blob of known digest and length.
 * @throws BladerootError `BLOB_DAMAGED`, and what the source throws
 */
export async function fetchBlob(
  source: Source,
  digest: Digest,
  bytes: number,
  options: FetchOptions = {},
): Promise<Buffer> {
  const blob = await fetchBytes(source, blobPath(digest), { ...options, maxBytes: bytes });
  if (blob.length !== bytes || sha256(blob) !== digest) {
    throw new BladerootError('BLOB_DAMAGED', `blob ${digest} from ${source.name} is damaged`, {
      hint: 'it is fetched again from another root, or published again',
    });
  }
  return blob;
}

/** A manifest as a signed statement names it; lengths in bytes. */
export interface ManifestRef {
  id: Digest;
  bytes: number;
  storedBytes: number;
}

/**
 * A manifest's bytes, out of the mirror where it is there, else from the source and into the mirror.
 * @throws BladerootError `MANIFEST_DAMAGED`, and what the source throws
 */
export async function fetchManifest(
  source: Source,
  { id, bytes, storedBytes }: ManifestRef,
  options: FetchOptions & { mirror?: Store | undefined } = {},
): Promise<Buffer> {
  const { mirror } = options;
  if (mirror !== undefined && (await mirror.hasManifest(id))) {
    try {
      return await mirror.readManifest(id);
    } catch (error) {
      // What was damaged on this machine's disk is mended from the source.
      if (errorCode(error) !== 'MANIFEST_DAMAGED') throw error;
    }
  }
  const path = manifestPath(id);
  for (;;) {
    const stored = await fetchBytes(source, path, { ...options, maxBytes: storedBytes });
    try {
      const manifest = await decompressManifest(id, stored, bytes, source.name);
      await mirror?.putCompressedManifest(id, stored);
      return manifest;
    } catch (error) {
      if (errorCode(error) !== 'MANIFEST_DAMAGED' || source.damaged?.(path) !== true) throw error;
    }
  }
}
