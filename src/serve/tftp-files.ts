/** The files that TFTP hands out. */
import { open } from 'node:fs/promises';
import { BladerootError, errorCode } from '../errors.ts';

/** One opened file; who opened it closes it. */
export interface TftpFile {
  /** Bytes. */
  size: number;
  /** Exactly `length` bytes, fewer only where the file ends. They may be shared: not to be written to. */
  read(offset: number, length: number): Promise<Buffer>;
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
      return { size: file.size, read: file.read, close: leave };
    },
  };
}

/**
 * The file as RFC 764 wants text on the wire: LF as CR LF, CR as CR NUL. All of it is held in memory.
 * @throws BladerootError `TFTP_NETASCII` when it is too long to be a text
 */
export async function asNetascii(file: TftpFile): Promise<TftpFile> {
  if (file.size > SMALL) {
    throw new BladerootError(
      'TFTP_NETASCII',
      `${file.size} bytes are too long a text: use octet (binary) mode`,
    );
  }
  const bytes = await file.read(0, file.size);
  const text = bytes.toString('latin1').replace(/[\r\n]/g, (end) => (end === '\n' ? '\r\n' : '\r\0'));
  return { ...inMemory(Buffer.from(text, 'latin1')), close: file.close };
}

/** Up to here (bytes) a file is held in memory while it is fetched; boot loaders are smaller. */
const SMALL = 2 ** 21;
/** For each larger file; each is some 256 KiB. */
const READS_KEPT = 32;

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
    if (stat.size <= SMALL) return inMemory(await handle.readFile());
    keep = true;
    const read = async (offset: number, length: number): Promise<Buffer> => {
      const wanted = Math.max(0, Math.min(length, stat.size - offset));
      const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(wanted), 0, wanted, offset);
      // A short block in the middle would tell the client that the file ends there.
      if (bytesRead < wanted)
        throw new BladerootError('FILE_CHANGED', `${path} became shorter while it was sent`);
      return buffer;
    };
    return { size: stat.size, read: keepingLast(read), close: () => handle.close() };
  } finally {
    if (!keep) await handle.close();
  }
}

/**
 * Clients that were switched on together are at about the same place of a file, and what one has just read is what the
 * next one wants: the last reads are kept, so that a thousand are neither a thousand reads nor a thousand copies.
 */
function keepingLast(read: TftpFile['read']): TftpFile['read'] {
  const last = new Map<string, Promise<Buffer>>();
  return async (offset, length) => {
    const key = `${offset}+${length}`;
    const kept = last.get(key);
    if (kept !== undefined) return await kept;
    const reading = read(offset, length);
    last.set(key, reading);
    for (const oldest of last.keys()) {
      if (last.size <= READS_KEPT) break;
      last.delete(oldest);
    }
    try {
      return await reading;
    } catch (error) {
      // The next one who asks may have more luck.
      if (last.get(key) === reading) last.delete(key);
      throw error;
    }
  };
}

function inMemory(bytes: Buffer): TftpFile {
  return {
    size: bytes.length,
    read: async (offset, length) => bytes.subarray(offset, offset + length),
    close: async () => undefined,
  };
}
