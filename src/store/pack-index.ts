/** A pack's index: what is in the pack and how to check it. A pack's id is the SHA-256 of its index's bytes. */
import { promisify } from 'node:util';
import { zstdCompressSync, zstdDecompress } from 'node:zlib';
import { z } from 'zod';
import { BladerootError, describeError } from '../errors.ts';
import { sha256, type Digest } from './digest.ts';
import { digestSchema } from './digest-schema.ts';
import { FRAME_SIZE, MAX_BASE_SIZE, MAX_FRAME_BYTES, MAX_OBJECT_SIZE } from './frame.ts';

/** The unit of transfer and of checking, in bytes of the pack file; the last piece may be shorter. */
export const PIECE_SIZE = 1024 * 1024;

/** An index longer than this (uncompressed) is not read: some 700,000 objects. */
export const MAX_INDEX_BYTES = 64 * 1024 * 1024;

export const LAYERS = ['run', 'extra'] as const;
export type Layer = (typeof LAYERS)[number];

const objectSchema = z.strictObject({
  digest: digestSchema,
  size: z.int().positive().max(MAX_OBJECT_SIZE),
});

/** The content of a file, or of a part of one, by its SHA-256. */
export type ObjectRef = z.infer<typeof objectSchema>;

const frameSchema = z.strictObject({
  /** In the pack file. */
  bytes: z.int().positive().max(MAX_FRAME_BYTES),
  /** Of its content. */
  size: z.int().positive().max(MAX_OBJECT_SIZE),
  /** For a patch: the objects, of other packs, whose contents are needed to decompress it, in this order. */
  bases: z.array(objectSchema).min(1).optional(),
});

export type FrameRef = z.infer<typeof frameSchema>;

const packIndexSchema = z.strictObject({
  format: z.literal('bladeroot-pack'),
  version: z.literal(1),
  layer: z.enum(LAYERS),
  /** Of the pack file. */
  bytes: z.int().positive(),
  pieces: z.array(digestSchema),
  /** In the order of the file. */
  frames: z.array(frameSchema),
  /** In the order of the content. */
  objects: z.array(objectSchema),
});

export type PackIndex = z.infer<typeof packIndexSchema>;

/** The index as it is hashed: its keys in the order of the schema. */
export function encodePackIndex(index: Omit<PackIndex, 'format' | 'version'>): Buffer {
  const { layer, bytes, pieces, frames, objects } = index;
  return Buffer.from(
    JSON.stringify({
      format: 'bladeroot-pack',
      version: 1,
      layer,
      bytes,
      pieces,
      frames: frames.map(({ bases, ...frame }) => ({ ...frame, bases: bases?.map(objectInOrder) })),
      objects: objects.map(objectInOrder),
    }),
  );
}

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
    throw damaged(packId, from, error instanceof z.ZodError ? z.prettifyError(error) : describeError(error));
  }
  if (!encodePackIndex(index).equals(bytes)) throw damaged(packId, from, 'it is not in the canonical form');
  const contradiction = contradictionIn(index);
  if (contradiction !== undefined) throw damaged(packId, from, contradiction);
  return index;
}

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
