/**
 * zstd as it is linked into Node, called directly, by threads that compress or decompress one buffer after the other.
 * `node:zlib` makes a context, its tables and buffers for each of them, which costs a tenth of the time; and it cannot
 * have a prefix searched that is not copied, nor by the tables that fit it. The functions are those of zstd.h.
 */
import koffi from 'koffi';
import { giveBack } from './collect-garbage.ts';

const zstd = koffi.load(null);
const isError = zstd.func('uint32_t ZSTD_isError(size_t code)');
const getErrorName = zstd.func('const char *ZSTD_getErrorName(size_t code)');
const createCompressor = zstd.func('void *ZSTD_createCCtx()');
const freeCompressor = zstd.func('size_t ZSTD_freeCCtx(void *cctx)');
const resetCompressor = zstd.func('size_t ZSTD_CCtx_reset(void *cctx, int reset)');
const setParameter = zstd.func('size_t ZSTD_CCtx_setParameter(void *cctx, int parameter, int value)');
const refPrefixToCompress = zstd.func(
  'size_t ZSTD_CCtx_refPrefix(void *cctx, const void *prefix, size_t size)',
);
const compress2 = zstd.func(
  'size_t ZSTD_compress2(void *cctx, void *dst, size_t capacity, const void *src, size_t size)',
);
const compressBound = zstd.func('size_t ZSTD_compressBound(size_t size)');
const createDecompressor = zstd.func('void *ZSTD_createDCtx()');
const freeDecompressor = zstd.func('size_t ZSTD_freeDCtx(void *dctx)');
const refPrefixToDecompress = zstd.func(
  'size_t ZSTD_DCtx_refPrefix(void *dctx, const void *prefix, size_t size)',
);
const decompressDCtx = zstd.func(
  'size_t ZSTD_decompressDCtx(void *dctx, void *dst, size_t capacity, const void *src, size_t size)',
);
const findFrameCompressedSize = zstd.func(
  'size_t ZSTD_findFrameCompressedSize(const void *src, size_t size)',
);

/** ZSTD_cParameter; those that are not given are what the level has for contents of that length. */
const PARAMETERS = { level: 100, windowLog: 101, hashLog: 102, chainLog: 103 } as const;
export type ZstdParameters = { level: number } & { [name in keyof typeof PARAMETERS]?: number };

/** ZSTD_reset_session_and_parameters */
const RESET_ALL = 3;

/** Bytes of output that are kept for the next time. */
const KEPT = 2 * 1024 * 1024;

/** Compresses one buffer after the other; its owner closes it. */
export class ZstdCompressor {
  readonly #context: unknown = createCompressor();
  /** Where zstd writes to; kept, as fresh memory costs a page fault every 4 KiB. */
  #output = new Uint8Array();

  /**
   * One frame.
   * @param prefix what is searched too, and needed to decompress the frame (`zstd --patch-from`)
   * @returns a buffer of its own
   */
  compress(content: Uint8Array, parameters: ZstdParameters, prefix?: Uint8Array): Uint8Array<ArrayBuffer> {
    checked(resetCompressor(this.#context, RESET_ALL));
    const given: Record<string, number> = parameters;
    for (const [name, number] of Object.entries(PARAMETERS)) {
      const value = given[name];
      if (value !== undefined) checked(setParameter(this.#context, number, value));
    }
    if (prefix !== undefined) checked(refPrefixToCompress(this.#context, prefix, prefix.length));
    this.#output = atLeast(checked(compressBound(content.length)), this.#output);
    const { length } = this.#output;
    const made = checked(compress2(this.#context, this.#output, length, content, content.length));
    const frame = this.#output.slice(0, made);
    if (length > KEPT) {
      giveBack(this.#output);
      this.#output = new Uint8Array();
    }
    return frame;
  }

  close(): void {
    checked(freeCompressor(this.#context));
  }
}

/** Decompresses one buffer after the other; its owner closes it. */
export class ZstdDecompressor {
  readonly #context: unknown = createDecompressor();
  #output = new Uint8Array();

  /**
   * The content of a frame, or of several.
   * @param limit bytes; never more is made
   * @param prefix what it was compressed with
   * @returns bytes that are there until the next call
   * @throws Error when it is damaged, or more than the limit
   */
  decompress(frame: Uint8Array, limit: number, prefix?: Uint8Array): Uint8Array {
    if (prefix !== undefined) checked(refPrefixToDecompress(this.#context, prefix, prefix.length));
    this.#output = atLeast(limit, this.#output);
    return this.#output.subarray(
      0,
      checked(decompressDCtx(this.#context, this.#output, limit, frame, frame.length)),
    );
  }

  close(): void {
    checked(freeDecompressor(this.#context));
  }
}

/** The frame that the bytes begin with. @throws Error when there is none, or only a part of one */
export function firstFrame(bytes: Buffer): Buffer {
  return bytes.subarray(0, checked(findFrameCompressedSize(bytes, bytes.length)));
}

function atLeast(length: number, buffer: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return buffer.length >= length ? buffer : new Uint8Array(length);
}

/** @param result a length, or one of the highest numbers there are, which stand for errors */
function checked(result: number | bigint): number {
  if (isError(result) !== 0) throw new Error(`zstd: ${getErrorName(result)}`);
  return Number(result);
}
