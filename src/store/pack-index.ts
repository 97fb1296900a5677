/** A pack's index: what is in the pack and how to check it. A pack's id is the SHA-256 of its index's bytes. */
import { z } from 'zod';
import { BladerootError, describeError } from '../errors.ts';
import { digestSchema, sha256, type Digest } from './digest.ts';
import { FRAME_SIZE, MAX_FRAME_BYTES } from './frame.ts';

/** The unit of transfer and of checking, in bytes of the pack file; the last piece may be shorter. */
export const PIECE_SIZE = 1024 * 1024;

/** An index longer than this is not read: some 700,000 objects. */
export const MAX_INDEX_BYTES = 64 * 1024 * 1024;

export const LAYERS = ['run', 'extra'] as const;
export type Layer = (typeof LAYERS)[number];

const packIndexSchema = z.strictObject({
  format: z.literal('bladeroot-pack'),
  version: z.literal(1),
  layer: z.enum(LAYERS),
  /** Of the pack file. */
  bytes: z.int().positive(),
  pieces: z.array(digestSchema),
  /** In the order of the file: bytes in it, and size of the content. */
  frames: z.array(
    z.strictObject({
      bytes: z.int().positive().max(MAX_FRAME_BYTES),
      size: z.int().positive().max(FRAME_SIZE),
    }),
  ),
  /** In the order of the content. */
  objects: z.array(z.strictObject({ digest: digestSchema, size: z.int().positive() })),
});

export type PackIndex = z.infer<typeof packIndexSchema>;

/** The index as it is stored: its keys in the order of the schema. */
export function encodePackIndex(index: Omit<PackIndex, 'format' | 'version'>): Buffer {
  const { layer, bytes, pieces, frames, objects } = index;
  return Buffer.from(
    JSON.stringify({ format: 'bladeroot-pack', version: 1, layer, bytes, pieces, frames, objects }),
  );
}

/**
 * Reads an index from anywhere, and checks it.
 * @param from where it came from, for the error
 * @throws BladerootError `PACK_INDEX_DAMAGED`
 */
export function parsePackIndex(packId: Digest, bytes: Buffer, from: string): PackIndex {
  const damaged = (why: string): BladerootError =>
    new BladerootError('PACK_INDEX_DAMAGED', `the index of pack ${packId} from ${from} is damaged: ${why}`, {
      hint: 'fetch it from another root or pack the tree again',
    });
  if (sha256(bytes) !== packId) throw damaged('its SHA-256 is not the id of the pack');
  let index: PackIndex;
  try {
    index = packIndexSchema.parse(JSON.parse(bytes.toString()));
  } catch (error) {
    throw damaged(error instanceof z.ZodError ? z.prettifyError(error) : describeError(error));
  }
  if (!encodePackIndex(index).equals(bytes)) throw damaged('it is not in the canonical form');
  const contradiction = contradictionIn(index);
  if (contradiction !== undefined) throw damaged(contradiction);
  return index;
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
  if (new Set(objects.map((object) => object.digest)).size !== objects.length)
    return 'an object is in it twice';
  return undefined;
}

function sum(numbers: number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
