/**
 * A manifest for who has another: lines of it, and where runs of lines are the other's. Lines of both are in the same
 * order, so what they share is found in one go. See docs/format.md.
 */
import { BladerootError } from '../errors.ts';
import { sha256, type Digest } from '../store/digest.ts';

const NEWLINE = 0x0a;
/** Begins a line that stands for lines of the base; no line of a manifest does. */
const COPY = /^=(\d{1,10}),(\d{1,10})$/;

/** Both are canonical manifests. */
export function encodeManifestDelta(manifest: Buffer, base: Buffer): Buffer {
  const known = new Map<string, number>();
  let number = 0;
  for (const [start, end] of lines(base)) known.set(base.toString('latin1', start, end), number++);
  const parts: Buffer[] = [];
  let copied: { first: number; count: number } | undefined;
  const endCopy = (): void => {
    if (copied !== undefined) parts.push(Buffer.from(`=${copied.first},${copied.count}\n`));
    copied = undefined;
  };
  for (const [start, end] of lines(manifest)) {
    const there = known.get(manifest.toString('latin1', start, end));
    if (there !== undefined && copied !== undefined && there === copied.first + copied.count) {
      copied.count++;
      continue;
    }
    endCopy();
    if (there === undefined) parts.push(manifest.subarray(start, end + 1));
    else copied = { first: there, count: 1 };
  }
  endCopy();
  return Buffer.concat(parts);
}

/**
 * @param bytes length of the manifest, which is never exceeded
 * @throws BladerootError `MANIFEST_DAMAGED` when what comes of it is not the manifest `id`
 */
export function applyManifestDelta(delta: Buffer, base: Buffer, id: Digest, bytes: number): Buffer {
  const damaged = (): BladerootError =>
    new BladerootError('MANIFEST_DAMAGED', `what was made from another manifest is not manifest ${id}`, {
      hint: 'fetch it from another root or pack the tree again',
    });
  const starts = [...lines(base)].map(([start]) => start);
  starts.push(base.length);
  const parts: Buffer[] = [];
  let length = 0;
  for (const [start, end] of lines(delta)) {
    const [copy, first, count] = COPY.exec(delta.toString('latin1', start, Math.min(end, start + 24))) ?? [];
    const from = starts[Number(first)];
    const to = starts[Number(first) + Number(count)];
    if (copy !== undefined && (from === undefined || to === undefined)) throw damaged();
    const part = copy === undefined ? delta.subarray(start, end + 1) : base.subarray(from, to);
    length += part.length;
    if (length > bytes) throw damaged();
    parts.push(part);
  }
  const manifest = Buffer.concat(parts);
  if (sha256(manifest) !== id) throw damaged();
  return manifest;
}

/** Where lines start and where their newlines are; what has no newline at the end is no line. */
function* lines(text: Buffer): Generator<[start: number, end: number]> {
  for (let start = 0, end = text.indexOf(NEWLINE); end >= 0; end = text.indexOf(NEWLINE, start)) {
    yield [start, end];
    start = end + 1;
  }
}
