/** One zstd frame (RFC 8878) of at most FRAME_SIZE bytes, compressed and decompressed in Node's thread pool. */
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';

/** Bytes of content in a frame: what has to be decompressed to read one small object. */
export const FRAME_SIZE = 1024 * 1024;

/** Bytes of a frame as it lies in the pack, at most: content that does not compress grows by a few. */
export const MAX_FRAME_BYTES = FRAME_SIZE + 4096;

/** Frames in the works at once: the thread pool's four threads stay busy, and memory bounded. */
export const FRAMES_AHEAD = 4;

const LEVEL = 3;

/** zlib's smallest buffer. With one buffer for a whole frame it goes to the thread pool once; by default, every 16 KiB. */
const MIN_CHUNK = 64;

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

export async function compressFrame(content: Buffer): Promise<Buffer> {
  return await compress(content, {
    params: { [constants.ZSTD_c_compressionLevel]: LEVEL },
    pledgedSrcSize: content.length,
    chunkSize: MAX_FRAME_BYTES,
  });
}

/** @throws Error when the frame is damaged, or its content is not `size` bytes; never makes more than that. */
export async function decompressFrame(frame: Buffer, size: number): Promise<Buffer> {
  const content = await decompress(frame, { maxOutputLength: size, chunkSize: Math.max(size, MIN_CHUNK) });
  if (content.length !== size) throw new Error(`a frame holds ${content.length} bytes instead of ${size}`);
  return content;
}
