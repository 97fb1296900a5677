/**
 * One zstd frame (RFC 8878) of a pack. A frame stands alone, or is a patch: compressed against the contents of other
 * objects, its bases, which are then needed to decompress it (`zstd --patch-from`).
 */
import { promisify } from 'node:util';
import { constants, zstdCompressSync, zstdDecompress, zstdDecompressSync, type ZstdOptions } from 'node:zlib';

/** Bytes of content in a frame that stands alone: what has to be decompressed to read one small object. */
export const FRAME_SIZE = 1024 * 1024;

/** Bytes of an object at most: a longer content is cut into several. It is also the most that is in a patch. */
export const MAX_OBJECT_SIZE = 8 * 1024 * 1024;

/**
 * Bytes of all bases of a patch together. With it, a patch is applied in some 50 MB of memory, whatever the size of the
 * file: the bases twice, as zstd copies them, the content twice, and the patch.
 */
export const MAX_BASE_SIZE = 16 * 1024 * 1024;

/** Bytes of a frame as it lies in the pack, at most: content that does not compress grows by a few. */
export const MAX_FRAME_BYTES = MAX_OBJECT_SIZE + 65536;

/** How hard zstd tries, for frames that stand alone. */
export const LEVEL = 3;

/** zlib's smallest buffer. With one buffer for a whole frame it makes one round through the compressor. */
const MIN_CHUNK = 64;

const decompress = promisify(zstdDecompress);

/** Compresses content of at most MAX_OBJECT_SIZE bytes; the result is the only thing in its buffer. */
export function compressFrame(content: Uint8Array): Buffer {
  return zstdCompressSync(content, {
    params: { [constants.ZSTD_c_compressionLevel]: LEVEL },
    pledgedSrcSize: content.length,
    chunkSize: Math.max(MIN_OUTPUT, content.length >> 1),
  });
}

/** Compresses content against its bases; undefined where they cannot serve, see `canBeBases`. */
export function compressPatch(content: Uint8Array, bases: Uint8Array): Buffer | undefined {
  if (!canBeBases(bases)) return undefined;
  const windowLog = Math.max(MIN_WINDOW_LOG, Math.ceil(Math.log2(content.length + bases.length)));
  return zstdCompressSync(content, {
    dictionary: bases,
    params: {
      [constants.ZSTD_c_compressionLevel]: 9,
      // The window must span the bases and the content, and the tables of the match finder all their positions.
      [constants.ZSTD_c_windowLog]: windowLog,
      [constants.ZSTD_c_hashLog]: Math.min(windowLog - 1, 22),
      [constants.ZSTD_c_chainLog]: Math.min(windowLog, 23),
    },
    pledgedSrcSize: content.length,
    chunkSize: Math.max(MIN_OUTPUT, content.length >> 1),
  });
}

/** A buffer of this many bytes is not a part of one that several share, which could not be given to another thread. */
const MIN_OUTPUT = Buffer.poolSize;

/** Tables of this size are cleared in no time. */
const MIN_WINDOW_LOG = 18;

/** 2^25 bytes hold MAX_BASE_SIZE and MAX_OBJECT_SIZE together. */
const PATCH_WINDOW_LOG = 25;

/** zstd takes less than 8 bytes for no dictionary, and what begins with this number for one of its own format. */
function canBeBases(bases: Uint8Array): boolean {
  return bases.length >= 8 && Buffer.from(bases.buffer, bases.byteOffset, 4).readUInt32LE() !== 0xec30a437;
}

/**
 * @param bases the contents of the frame's bases, one after the other; undefined for a frame that stands alone
 * @throws Error when the frame is damaged, or its content is not `size` bytes; never makes more than that.
 */
export async function decompressFrame(frame: Uint8Array, size: number, bases?: Uint8Array): Promise<Buffer> {
  return sized(await decompress(frame, decompressOptions(size, bases)), size);
}

/** As `decompressFrame`, for a worker thread. */
export function decompressFrameSync(frame: Uint8Array, size: number, bases?: Uint8Array): Buffer {
  return sized(zstdDecompressSync(frame, decompressOptions(size, bases)), size);
}

function decompressOptions(size: number, bases: Uint8Array | undefined): ZstdOptions {
  return {
    maxOutputLength: size,
    chunkSize: Math.max(size, MIN_CHUNK),
    params: { [constants.ZSTD_d_windowLogMax]: PATCH_WINDOW_LOG },
    ...(bases !== undefined && { dictionary: bases }),
  };
}

function sized(content: Buffer, size: number): Buffer {
  if (content.length !== size) throw new Error(`a frame holds ${content.length} bytes instead of ${size}`);
  return content;
}
