/** A pack's index: what is in the pack and how to check it. A pack's id is the SHA-256 of its index's bytes. */
import { promisify } from 'node:util';
import { zstdCompressSync, zstdDecompress } from 'node:zlib';
import { z } from 'zod';
import { BladerootError, describeError } from '../errors.ts';
import { isDigest, sha256, type Digest } from './digest.ts';
import { FRAME_SIZE, MAX_BASE_SIZE, MAX_FRAME_BYTES, MAX_OBJECT_SIZE } from './frame.ts';

/** The unit of transfer and of checking, in bytes of the pack file; the last piece may be shorter. */
export const PIECE_SIZE = 1024 * 1024;

/** An index longer than this (uncompressed) is not read: some 700,000 objects. */
export const MAX_INDEX_BYTES = 64 * 1024 * 1024;

export const LAYERS = ['run', 'extra'] as const;
export type Layer = (typeof LAYERS)[number];

/** The content of a file, or of a part of one, by its SHA-256. */
export interface ObjectRef {
  digest: Digest;
  size: number;
}

export interface FrameRef {
  /** In the pack file. */
  bytes: number;
  /** Of its content. */
  size: number;
  /** For a patch: the objects, of other packs, whose contents are needed to decompress it, in this order. */
  bases?: ObjectRef[] | undefined;
}

const packIndexSchema = z.strictObject({
  format: z.literal('bladeroot-pack'),
  version: z.literal(1),
  layer: z.enum(LAYERS),
  /** Of the pack file. */
  bytes: z.int().positive(),
  pieces: listOf('SHA-256 digests', isDigestValue),
  /** In the order of the file. */
  frames: listOf('frames', isFrame),
  /** In the order of the content. */
  objects: listOf('objects', isObject),
});

/** Not z.array: of a list of a million wrong things it names each. What is in a thing beside is seen by the canonical form. */
function listOf<T>(what: string, isOne: (value: unknown) => value is T): z.ZodType<T[]> {
  return z.custom<T[]>((list) => Array.isArray(list) && list.every(isOne), `it is no list of ${what}`);
}

function isDigestValue(value: unknown): value is Digest {
  return typeof value === 'string' && isDigest(value);
}

function isObject(value: unknown): value is ObjectRef {
  return isRecord(value) && isDigestValue(value['digest']) && isLength(value['size'], MAX_OBJECT_SIZE);
}

function isFrame(value: unknown): value is FrameRef {
  if (!isRecord(value)) return false;
  const { bytes, size, bases } = value;
  const isPatch = Array.isArray(bases) && bases.length > 0 && bases.every(isObject);
  return (
    isLength(bytes, MAX_FRAME_BYTES) && isLength(size, MAX_OBJECT_SIZE) && (bases === undefined || isPatch)
  );
}

function isLength(value: unknown, max: number): boolean {
  return Number.isSafeInteger(value) && Number(value) > 0 && Number(value) <= max;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

export type PackIndex = z.infer<typeof packIndexSchema>;

/** The index as it is hashed: JSON, its keys in the order of the schema. */
export function encodePackIndex(index: Omit<PackIndex, 'format' | 'version'>): Buffer {
  // In parts that are forgotten at once: as one text, with the objects that JSON is made of, it takes three times the memory.
  const bytes = Buffer.allocUnsafe(longestIndex(index));
  let end = 0;
  for (const part of indexParts(index)) end += bytes.write(part, end, 'latin1');
  return bytes.subarray(0, end);
}

/** Bytes that an index has at most; the number of digits is what is not known. */
function longestIndex({ pieces, frames, objects }: Omit<PackIndex, 'format' | 'version'>): number {
  const bases = frames.reduce((sum, frame) => sum + (frame.bases?.length ?? 0), 0);
  return 256 + pieces.length * 80 + frames.length * 80 + (objects.length + bases) * 120;
}

/** The text of an index, which is ASCII. */
function* indexParts(index: Omit<PackIndex, 'format' | 'version'>): Generator<string> {
  const { layer, bytes, pieces, frames, objects } = index;
  yield `{"format":"bladeroot-pack","version":1,"layer":"${layer}","bytes":${bytes},"pieces":`;
  yield* listParts(pieces, (digest) => digest);
  yield ',"frames":';
  yield* listParts(frames, ({ bases, ...frame }) => ({ ...frame, bases: bases?.map(objectInOrder) }));
  yield ',"objects":';
  yield* listParts(objects, objectInOrder);
  yield '}';
}

function* listParts<T>(list: readonly T[], form: (one: T) => unknown): Generator<string> {
  yield '[';
  for (let i = 0; i < list.length; i += FORMED_AT_ONCE) {
    const part = JSON.stringify(list.slice(i, i + FORMED_AT_ONCE).map((one) => form(one)));
    yield `${i === 0 ? '' : ','}${part.slice(1, -1)}`;
  }
  yield ']';
}

const FORMED_AT_ONCE = 256;

function objectInOrder({ digest, size }: ObjectRef): ObjectRef {
  return { digest, size };
}

/** The index as it lies in a store and travels. */
export function compressPackIndex(index: Buffer): Buffer {
  return zstdCompressSync(index);
}

const decompress = promisify(zstdDecompress);

/**
 * Reads an index, in its compressed form, from anywhere, and checks it.
 * @param from where it came from, for the error
 * @throws BladerootError `PACK_INDEX_DAMAGED`
 */
export async function openPackIndex(packId: Digest, stored: Buffer, from: string): Promise<PackIndex> {
  let bytes: Buffer;
  try {
    bytes = await decompress(stored, { maxOutputLength: MAX_INDEX_BYTES });
  } catch (error) {
    throw damaged(packId, from, describeError(error));
  }
  return parsePackIndex(packId, bytes, from);
}

/** As `openPackIndex`, for an index that is not compressed. */
export function parsePackIndex(packId: Digest, bytes: Buffer, from: string): PackIndex {
  if (sha256(bytes) !== packId) throw damaged(packId, from, 'its SHA-256 is not the id of the pack');
  let index: PackIndex;
  try {
    index = packIndexSchema.parse(JSON.parse(bytes.toString()));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : describeError(error);
    throw damaged(packId, from, why.slice(0, LONGEST_REASON));
  }
  if (!encodePackIndex(index).equals(bytes)) throw damaged(packId, from, 'it is not in the canonical form');
  const contradiction = contradictionIn(index);
  if (contradiction !== undefined) throw damaged(packId, from, contradiction);
  return index;
}

/** Of a reason, in characters: it may tell all that the index says. */
const LONGEST_REASON = 300;

function damaged(packId: Digest, from: string, why: string): BladerootError {
  return new BladerootError(
    'PACK_INDEX_DAMAGED',
    `the index of pack ${packId} from ${from} is damaged: ${why}`,
    {
      hint: 'fetch it from another root or pack the tree again',
    },
  );
}

/** Bytes of piece `number`. */
export function pieceSize(index: PackIndex, number: number): number {
  return Math.min(PIECE_SIZE, index.bytes - number * PIECE_SIZE);
}

function contradictionIn({ bytes, pieces, frames, objects }: PackIndex): string | undefined {
  if (pieces.length !== Math.ceil(bytes / PIECE_SIZE)) return 'the number of pieces is not that of its bytes';
  if (sum(frames.map((frame) => frame.bytes)) !== bytes) return 'the frames are not as long as the pack';
  if (sum(frames.map((frame) => frame.size)) !== sum(objects.map((object) => object.size))) {
    return 'the frames do not hold what the objects need';
  }
  const own = new Set(objects.map((object) => object.digest));
  if (own.size !== objects.length) return 'an object is in it twice';
  for (const { size, bases } of frames) {
    if (bases === undefined) {
      if (size > FRAME_SIZE) return 'a frame that is no patch is too long';
    } else {
      if (sum(bases.map((base) => base.size)) > MAX_BASE_SIZE)
        return 'a patch has too much that it is based on';
      if (bases.some((base) => own.has(base.digest))) return 'a patch is based on an object of its own pack';
    }
  }
  return undefined;
}

function sum(numbers: number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
