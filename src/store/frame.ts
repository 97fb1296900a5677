/**
 * One zstd frame (RFC 8878) of a pack. A frame stands alone, or is a patch: compressed against the contents of other
 * objects, its bases, which are then needed to decompress it (`zstd --patch-from`).
 */
import { promisify } from 'node:util';
import { constants, zstdDecompress, type ZstdOptions } from 'node:zlib';
import { ZstdCompressor, ZstdDecompressor } from '../system/zstd.ts';

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

/**
 * How hard zstd tries, for frames that stand alone. Of a Debian tree level 5 makes 2 % more; level 9 makes 1 % less, and
 * takes 60 % more time.
 */
export const LEVEL = 6;

/**
 * For patches: a fast search, but through tables that have room for all of the bases. Through those that level 6 has, most
 * of what is the same is not found: of 24 MB of a new libnode.so that makes 8.2 MB instead of 1.6. The slower search of
 * level 6 in large tables takes five times as long, and makes a tenth less at best.
 */
const PATCH_LEVEL = 4;
const MAX_TABLE_LOG = 21;

/** Up to 1 MiB of bases and content together a slow search takes a moment, and misses nothing. */
const THOROUGH_LEVEL = 9;
const THOROUGH_WINDOW_LOG = 20;

/** A thread keeps tables for windows of up to so much; larger ones, of 16 MB, are freed when a patch is made. */
const KEPT_WINDOW_LOG = 20;

/** Tables of this size are cleared in no time. */
const MIN_WINDOW_LOG = 18;

/** 2^25 bytes hold MAX_BASE_SIZE and MAX_OBJECT_SIZE together. */
const PATCH_WINDOW_LOG = 25;

/** zlib's smallest buffer. With one buffer for a whole frame it makes one round through the decompressor. */
const MIN_CHUNK = 64;

const decompress = promisify(zstdDecompress);

/** Makes frames of contents of at most MAX_OBJECT_SIZE bytes, each in a buffer of its own; for a thread, which closes it. */
export class FrameCompressor {
  readonly #zstd = new ZstdCompressor();

  compress(content: Uint8Array): Uint8Array<ArrayBuffer> {
    return this.#zstd.compress(content, { level: LEVEL });
  }

  /** Compresses content against its bases; undefined where they cannot serve, see `canBeBases`. */
  patch(content: Uint8Array, bases: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
    if (!canBeBases(bases)) return undefined;
    // The window must span the bases and the content, and the tables of the match finder all their positions.
    const windowLog = Math.max(MIN_WINDOW_LOG, Math.ceil(Math.log2(content.length + bases.length)));
    const tableLog = Math.min(windowLog, MAX_TABLE_LOG);
    const parameters =
      windowLog <= THOROUGH_WINDOW_LOG
        ? { level: THOROUGH_LEVEL, windowLog, hashLog: windowLog - 1, chainLog: windowLog }
        : { level: PATCH_LEVEL, windowLog, hashLog: tableLog, chainLog: tableLog };
    if (windowLog <= KEPT_WINDOW_LOG) return this.#zstd.compress(content, parameters, bases);
    const zstd = new ZstdCompressor();
    try {
      return zstd.compress(content, parameters, bases);
    } finally {
      zstd.close();
    }
  }

  close(): void {
    this.#zstd.close();
  }
}

/** Takes contents out of frames; for a thread, which closes it. */
export class FrameDecompressor {
  readonly #zstd = new ZstdDecompressor();

  /** As `decompressFrame`. @returns bytes that are there until the next call */
  decompress(frame: Uint8Array, size: number, bases?: Uint8Array): Uint8Array {
    return sized(this.#zstd.decompress(frame, size, bases), size);
  }

  close(): void {
    this.#zstd.close();
  }
}

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

function decompressOptions(size: number, bases: Uint8Array | undefined): ZstdOptions {
  return {
    maxOutputLength: size,
    chunkSize: Math.max(size, MIN_CHUNK),
    params: { [constants.ZSTD_d_windowLogMax]: PATCH_WINDOW_LOG },
    ...(bases !== undefined && { dictionary: bases }),
  };
}

function sized<T extends Uint8Array>(content: T, size: number): T {
  if (content.length !== size) throw new Error(`a frame holds ${content.length} bytes instead of ${size}`);
  return content;
}
