import type { FramePart, PackedParts, RareFields } from './unpack-task.ts';

/** Texts and numbers of a part. */
const TEXTS = 2;
const NUMBERS = 8;

export function packParts(parts: readonly FramePart[]): PackedParts {
  const texts: string[] = [];
  const numbers = new Float64Array(parts.length * NUMBERS);
  const rare = new Map<number, RareFields>();
  for (const [i, { from, length, at, isWhole, file }] of parts.entries()) {
    const { path, finalPath, size, extents, attributes } = file;
    const { mtime, mode, uid, gid, xattrs } = attributes;
    texts.push(path, mtime);
    numbers.set([from, length, at, isWhole ? 1 : 0, size, mode, uid, gid], i * NUMBERS);
    const isRare = finalPath !== undefined || extents !== undefined || xattrs !== undefined;
    if (isRare) rare.set(i, { finalPath, extents, xattrs });
  }
  return { texts: texts.join('\0'), numbers, rare };
}

export function partCount({ numbers }: PackedParts): number {
  return numbers.length / NUMBERS;
}

/** The inverse of `packParts`. */
export function* partsIn({ texts, numbers, rare }: PackedParts): Generator<FramePart> {
  const all = texts.split('\0');
  for (let i = 0; i * NUMBERS < numbers.length; i++) {
    const [path = '', mtime = ''] = all.slice(i * TEXTS, (i + 1) * TEXTS);
    const own = numbers.subarray(i * NUMBERS, (i + 1) * NUMBERS);
    const [from = 0, length = 0, at = 0, isWhole = 0, size = 0, mode = 0, uid = 0, gid = 0] = own;
    const { finalPath, extents, xattrs } = rare.get(i) ?? {};
    const file = { path, finalPath, size, extents, attributes: { mode, uid, gid, mtime, xattrs } };
    yield { from, length, at, isWhole: isWhole === 1, file };
  }
}
