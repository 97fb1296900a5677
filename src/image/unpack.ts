/** A snapshot into a directory: fetching, checking, decompressing and writing go on at once, in pack order. */
import { readdir } from 'node:fs/promises';
import { BladerootError } from '../errors.ts';
import { fetchPack, type FetchedPack } from '../store/fetch-pack.ts';
import { fetchManifest } from '../store/fetch.ts';
import type { Source } from '../store/source.ts';
import type { Store } from '../store/store.ts';
import { extractTar } from './extract.ts';
import { parseManifest } from './manifest.ts';
import type { SnapshotStatement } from './statement.ts';
import { TreeWriter } from './tree-writer.ts';

export interface UnpackProgress {
  phase: 'manifest' | 'files' | 'links' | 'done';
  /** Of files' content. */
  bytesDone: number;
  bytesTotal: number;
  /** That came from the source; what the mirror had is not among them. */
  fetchedBytes: number;
}

export interface UnpackOptions {
  /** As signed; the caller has checked the signature. */
  statement: SnapshotStatement;
  source: Source;
  /** Keeps manifest and packs too, so that this machine can hand them out, and an interrupted fetch resumes. */
  mirror?: Store | undefined;
  /** An empty directory, but for `lost+found`. */
  directory: string;
  onProgress?: ((progress: UnpackProgress) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Unpacks a snapshot. What it wrote is not synced: that is for the caller, who knows the file system.
 * @throws BladerootError `DIRECTORY_NOT_EMPTY`; `MANIFEST_DAMAGED`, `MANIFEST_INVALID`, `PACK_INDEX_DAMAGED`,
 * `PIECE_DAMAGED`, `PACK_DAMAGED`, `OBJECT_DAMAGED`, `SNAPSHOT_INCOMPLETE` when what came is not what was signed; and
 * what the source throws. The directory is of no use then.
 */
export async function unpackSnapshot(options: UnpackOptions): Promise<void> {
  const { statement, source, mirror, directory, onProgress } = options;
  await requireEmpty(directory);
  const stop = new AbortController();
  const abort = (): void => stop.abort(options.signal?.reason);
  options.signal?.addEventListener('abort', abort, { once: true });
  if (options.signal?.aborted === true) abort();

  const progress: UnpackProgress = {
    phase: 'manifest',
    bytesDone: 0,
    bytesTotal: statement.layers.reduce((sum, layer) => sum + layer.bytes, 0),
    fetchedBytes: 0,
  };
  const advance = (change: Partial<UnpackProgress>): void =>
    onProgress?.({ ...Object.assign(progress, change) });
  const fetchOptions = {
    mirror,
    signal: stop.signal,
    onBytes: (bytes: number) => advance({ fetchedBytes: progress.fetchedBytes + bytes }),
  };
  try {
    const manifestRef = { id: statement.id, ...statement.manifest };
    const manifest = parseManifest(await fetchManifest(source, manifestRef, fetchOptions));
    const packs: FetchedPack[] = [];
    for (const { id } of statement.layers.flatMap((layer) => layer.packs)) {
      packs.push(await fetchPack(source, id, fetchOptions));
    }
    const tree = new TreeWriter(directory, manifest, (bytes) =>
      advance({ bytesDone: progress.bytesDone + bytes }),
    );
    tree.requireObjectsIn(packs, source.name);

    advance({ phase: 'files' });
    await extractTar(directory, tree.files(packs), stop);
    advance({ phase: 'links' });
    await extractTar(directory, tree.rest(), stop);
    advance({ phase: 'done' });
  } finally {
    options.signal?.removeEventListener('abort', abort);
  }
}

async function requireEmpty(directory: string): Promise<void> {
  const names = (await readdir(directory)).filter((name) => name !== 'lost+found');
  if (names.length === 0) return;
  throw new BladerootError('DIRECTORY_NOT_EMPTY', `${directory} is not empty: ${names[0]} is in it`, {
    hint: 'unpack into an empty directory',
  });
}
