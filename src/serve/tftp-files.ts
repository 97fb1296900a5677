/** The files that TFTP hands out. */
import { open, type FileHandle } from 'node:fs/promises';
import { BladerootError, errorCode } from '../errors.ts';
import { readContent, type TftpContent } from './tftp-content.ts';

/** One opened file; who opened it closes it. */
export interface TftpFile {
  /** Bytes. */
  size: number;
  /** Shared with all who have opened it at the same time. */
  content: TftpContent;
  close(): Promise<void>;
}

/** All that a TFTP server serves. */
export interface TftpFiles {
  /** Undefined when there is no such file. The name has no leading slash and `/` between its parts. */
  open(name: string): Promise<TftpFile | undefined>;
}

/**
 * Serves just the names in the map, each from the path it stands for, so that no name leads anywhere else. Whoever
 * fetches a file at the same time shares it: one buffer for a loader, one descriptor for what is larger.
 */
export function servedFiles(paths: ReadonlyMap<string, string>): TftpFiles {
  const shared = new Map<string, { users: number; file: Promise<TftpFile | undefined> }>();
  return {
    async open(name) {
      const path = paths.get(name);
      if (path === undefined) return undefined;
      const entry = shared.get(path) ?? { users: 0, file: openFile(path) };
      shared.set(path, entry);
      entry.users++;
      const leave = async (): Promise<void> => {
        entry.users--;
        if (entry.users > 0) return;
        shared.delete(path);
        await (await entry.file)?.close();
      };
      let file: TftpFile | undefined;
      try {
        file = await entry.file;
      } finally {
        if (file === undefined) await leave();
      }
      if (file === undefined) return undefined;
      return { ...file, close: leave };
    },
  };
}

/**
 * The file as RFC 764 wants text on the wire: LF as CR LF, CR as CR NUL. All of it is held in memory.
 * @throws BladerootError `TFTP_NETASCII` when it is too long to be a text
 */
export function asNetascii(file: TftpFile): Pick<TftpFile, 'size' | 'content'> {
  if (file.size > SMALL) {
    throw new BladerootError(
      'TFTP_NETASCII',
      `${file.size} bytes are too long a text: use octet (binary) mode`,
    );
  }
  const bytes = readContent(file.content, 0, file.size);
  const text = Buffer.from(bytes)
    .toString('latin1')
    .replace(/[\r\n]/g, (end) => (end === '\n' ? '\r\n' : '\r\0'));
  return { size: text.length, content: { bytes: Buffer.from(text, 'latin1') } };
}

/** Up to here (bytes) a file is held in memory while it is fetched; boot loaders are smaller. */
const SMALL = 2 ** 21;

async function openFile(path: string): Promise<TftpFile | undefined> {
  const handle = await open(path).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
    throw error;
  });
  if (handle === undefined) return undefined;
  let keep = false;
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) return undefined;
    const { size } = stat;
    if (size <= SMALL) {
      const bytes = await readShared(handle, size);
      return { size: bytes.length, content: { bytes }, close: async () => undefined };
    }
    keep = true;
    return { size, content: { fd: handle.fd }, close: () => handle.close() };
  } finally {
    if (!keep) await handle.close();
  }
}

/** In memory that all threads have in common, so that it is not copied for each who fetches it. */
async function readShared(handle: FileHandle, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(new SharedArrayBuffer(size));
  let end = 0;
  while (end < size) {
    const { bytesRead } = await handle.read(bytes, end, size - end, end);
    if (bytesRead === 0) break;
    end += bytesRead;
  }
  return bytes.subarray(0, end);
}
