import type { SnapshotStatement } from '../image/statement.ts';
import { BLADE_LAYERS } from '../slot/fetch-image.ts';

/** A file system needs room beside what is in it, for its own tables and for the blade to live. */
const ROOM_FACTOR = 1.25;

/** Bytes that a slot needs for an image. */
export function roomFor({ layers }: Pick<SnapshotStatement, 'layers'>): number {
  const laid = layers.filter(({ name }) => BLADE_LAYERS.includes(name));
  return ROOM_FACTOR * laid.reduce((sum, { bytes }) => sum + bytes, 0);
}
