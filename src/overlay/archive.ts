/**
 * A blade's overlay as one archive: tar, as GNU tar extracts it, with what is deleted as whiteouts in the form of OCI
 * image layers (`.wh.NAME`, OCI image specification, layer.md). The same entries give the same bytes.
 */
import { posix } from 'node:path';
import { encodeTarHeader, TAR_END, tarPadding } from '../image/tar.ts';
import type { OverlayEntry } from './entry.ts';

export const WHITEOUT = '.wh.';

/** All that an overlay brings is as old: its times must not differ from one rendering to the next. */
const MTIME = '0';

/** @param entries sorted by path */
export function encodeOverlay(entries: readonly OverlayEntry[]): Buffer {
  const parts = entries.flatMap((entry) => {
    const header = headerOf(entry);
    return entry.type === 'file' ? [header, entry.content, tarPadding(entry.content.length)] : [header];
  });
  return Buffer.concat([...parts, TAR_END]);
}

/** Many blades have the same entries: their headers are made once. */
const HEADERS = new WeakMap<OverlayEntry, Buffer>();

function headerOf(entry: OverlayEntry): Buffer {
  const known = HEADERS.get(entry);
  if (known !== undefined) return known;
  const header = encodeHeader(entry);
  HEADERS.set(entry, header);
  return header;
}

function encodeHeader(entry: OverlayEntry): Buffer {
  const { mode, uid, gid, xattrs } = entry;
  const common = { mode, uid, gid, mtime: MTIME, ...(xattrs === undefined ? {} : { xattrs }) };
  const path = Buffer.from(entry.path);
  switch (entry.type) {
    case 'file':
      return encodeTarHeader({ ...common, path, type: 'file', size: entry.content.length });
    case 'dir':
      return encodeTarHeader({ ...common, path, type: 'dir' });
    case 'symlink':
      return encodeTarHeader({ ...common, path, type: 'symlink', target: Buffer.from(entry.target) });
    case 'whiteout': {
      const { dir, base } = posix.parse(entry.path);
      const marker = Buffer.from(posix.join(dir, WHITEOUT + base));
      return encodeTarHeader({ ...common, path: marker, type: 'file' });
    }
  }
}
