/**
 * The log of all that a machine did to its disk, as QEMU's blklogwrites writes it: the format of the kernel's dm-log-writes
 * (Documentation/admin-guide/device-mapper/log-writes.rst). Reading it is all that is done here.
 */
import type { FileHandle } from 'node:fs/promises';
import { BladerootError } from '../../src/errors.ts';

/** One request. Where its bytes lie in the log is said, not what they are: a log has hundreds of megabytes. */
export interface LoggedWrite {
  /** Offset on the disk, in bytes. */
  offset: number;
  bytes: number;
  /** Offset of its data in the log; undefined where there are none: a flush, a discard. */
  dataAt: number | undefined;
  /** All writes before it are on the disk once it is done. */
  flush: boolean;
  /** It is on the disk itself once it is done. */
  fua: boolean;
}

const MAGIC = 0x6a736677736872n;
const FLUSH = 1;
const FUA = 2;
const DISCARD = 4;
/** What of a header counts; it takes a whole sector. */
const HEADER_BYTES = 32;

/** @throws BladerootError `WRITE_LOG` */
export async function readWriteLog(file: FileHandle): Promise<LoggedWrite[]> {
  const first = Buffer.alloc(HEADER_BYTES);
  await file.read(first, 0, first.length, 0);
  if (first.readBigUInt64LE(0) !== MAGIC) {
    throw new BladerootError('WRITE_LOG', 'this is no log of blklogwrites');
  }
  // A machine that was cut off may not have said how many there are.
  const entries = Number(first.readBigUInt64LE(16)) || Infinity;
  const sector = first.readUInt32LE(24);
  const { size } = await file.stat();
  const found: LoggedWrite[] = [];
  const header = Buffer.alloc(HEADER_BYTES);
  for (let at = sector; at + sector <= size && found.length < entries;) {
    await file.read(header, 0, header.length, at);
    const flags = Number(header.readBigUInt64LE(16));
    const bytes = Number(header.readBigUInt64LE(8)) * sector;
    const hasData = bytes > 0 && (flags & DISCARD) === 0;
    found.push({
      offset: Number(header.readBigUInt64LE(0)) * sector,
      bytes,
      dataAt: hasData ? at + sector : undefined,
      flush: (flags & FLUSH) !== 0,
      fua: (flags & FUA) !== 0,
    });
    at += sector + (hasData ? bytes : 0);
  }
  return found;
}
