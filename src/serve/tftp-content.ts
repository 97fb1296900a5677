/** What a TFTP transfer sends, in a form in which one thread can hand it to another. */
import { readSync } from 'node:fs';
import { BladerootError } from '../errors.ts';

/** Bytes, best in memory that threads share; or a file that is open, and stays open, in this process. */
export type TftpContent = { bytes: Uint8Array } | { fd: number };

/**
 * Just these bytes of it, which must be there. They are to be used before the next call, and not to be written to. A file is
 * read with a call that blocks.
 * @throws BladerootError `FILE_CHANGED` when the file has become shorter; and what reading throws
 */
export function readContent(content: TftpContent, offset: number, length: number): Uint8Array {
  if ('bytes' in content) return content.bytes.subarray(offset, offset + length);
  if (room.length < length) room = Buffer.alloc(length);
  // A short block in the middle would tell the client that the file ends there.
  if (readSync(content.fd, room, 0, length, offset) < length)
    throw new BladerootError('FILE_CHANGED', 'the file became shorter while it was sent');
  return room.subarray(0, length);
}

let room = Buffer.alloc(0);
