/** A snapshot as one tar archive: its statement, its manifest, and packs that have all that it needs, as they lie in a store. */
import type { KeyObject } from 'node:crypto';
import { BladerootError } from '../errors.ts';
import { encodeTarHeader, TAR_END, tarPadding } from '../image/tar.ts';
import { DirectorySource } from '../store/directory-source.ts';
import type { Digest } from '../store/digest.ts';
import { fetchBytes } from '../store/fetch.ts';
import { manifestPath, packIndexPath, packPath, snapshotPath } from '../store/layout.ts';
import { MAX_INDEX_BYTES } from '../store/pack-index.ts';
import { PackReader } from '../store/pack-reader.ts';
import type { Store } from '../store/store.ts';
import { cheapestWhole } from './drop-ways.ts';
import { MAX_ENVELOPE_BYTES, openSnapshot } from './snapshots.ts';

export interface ExportOptions {
  signal?: AbortSignal | undefined;
  /** Of packs. */
  onProgress?: ((progress: { bytesDone: number; bytesTotal: number }) => void) | undefined;
}

/**
 * The archive, as it is made. The statement comes first, and each index before its pack, so that who reads it can check
 * everything as it comes. Every byte was checked here.
 * @throws BladerootError `SNAPSHOT_INCOMPLETE`, `SIGNATURE_INVALID`, `PIECE_DAMAGED`, ...
 */
export async function* exportSnapshot(
  store: Store,
  id: Digest,
  publicKey: KeyObject,
  { signal, onProgress }: ExportOptions = {},
): AsyncGenerator<Buffer, void, void> {
  const source = new DirectorySource(store.directory);
  const envelope = await fetchBytes(source, snapshotPath(id), { maxBytes: MAX_ENVELOPE_BYTES });
  const statement = openSnapshot(envelope, id, publicKey);
  const way = await cheapestWhole(store, statement);
  if (way === undefined) {
    throw new BladerootError(
      'SNAPSHOT_INCOMPLETE',
      `not all packs of snapshot ${id.slice(0, 12)} are in ${store.directory}`,
      { hint: '`bladeroot snapshot verify --repair-from URL` fetches them from another store' },
    );
  }
  const header = (path: string, size: number): Buffer =>
    encodeTarHeader({
      path: Buffer.from(path),
      type: 'file',
      mode: 0o644,
      mtime: String(Math.floor(Date.parse(statement.created) / 1000)),
      size,
    });
  const file = (path: string, content: Buffer): Buffer[] => [
    header(path, content.length),
    content,
    tarPadding(content.length),
  ];
  const { storedBytes } = statement.manifest;
  yield* file(snapshotPath(id), envelope);
  yield* file(manifestPath(id), await fetchBytes(source, manifestPath(id), { maxBytes: storedBytes }));
  const bytesTotal = way.packs.reduce((sum, { bytes }) => sum + bytes, 0);
  let bytesDone = 0;
  for (const pack of way.packs) {
    const indexPath = packIndexPath(pack.id);
    yield* file(indexPath, await fetchBytes(source, indexPath, { maxBytes: MAX_INDEX_BYTES }));
    const reader = await PackReader.open(source, pack.id, { signal });
    yield header(packPath(pack.id), reader.index.bytes);
    // A pack is its frames, one after the other.
    for await (const { bytes } of reader.frames()) {
      yield bytes;
      bytesDone += bytes.length;
      onProgress?.({ bytesDone, bytesTotal });
    }
    yield tarPadding(reader.index.bytes);
  }
  yield TAR_END;
}
