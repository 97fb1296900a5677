/** A part of a file over HTTP (RFC 9110, section 14): asking for it, and taking it out of what a server answers. */
import type { IncomingHttpHeaders } from 'node:http';
import { BladerootError } from '../errors.ts';

/** From `start` up to, not including, `end`, or the end of the file. */
export interface ByteRange {
  start: number;
  end: number | undefined;
}

/** The value of the `Range` header; undefined for the whole file, which is asked for without it. */
export function rangeHeader({ start, end }: ByteRange): string | undefined {
  if (start === 0 && end === undefined) return undefined;
  return `bytes=${start}-${end === undefined ? '' : end - 1}`;
}

/** Where in an answer's body lies what was asked for. All are bytes. */
export interface BodyPart {
  skip: number;
  /** Infinity where the server does not say how much there is. */
  length: number;
  /** Whether the body must end exactly there; else what is beyond is cut off, and less is the whole file. */
  exact: boolean;
}

/**
 * Finds what was asked for in an answer of status 200 (a server may ignore a range) or 206.
 * @param where names the file in messages
 * @throws BladerootError `SOURCE_FAILED` when the server sends another range, or the file ends before `start`
 */
export function partOf(
  status: 200 | 206,
  headers: IncomingHttpHeaders,
  wanted: ByteRange,
  where: string,
): BodyPart {
  if (status === 200) return partOfWhole(headers['content-length'], wanted, where);
  return partOfRange(headers['content-range'], wanted, where);
}

/**
 * Of an answer of status 416: that the file ends just where the range begins, so that nothing is missing.
 * @throws BladerootError `SOURCE_FAILED` when it is otherwise, or the server does not say
 */
export function requireAtEnd(headers: IncomingHttpHeaders, wanted: ByteRange, where: string): void {
  const size = parseContentRange(headers['content-range'])?.size;
  if (size === wanted.start) return;
  if (size !== undefined && size < wanted.start) throw tooShort(where, size);
  throw new BladerootError('SOURCE_FAILED', `${where}: the server has no bytes ${inWords(wanted)}`);
}

function partOfWhole(contentLength: string | undefined, wanted: ByteRange, where: string): BodyPart {
  const { start, end = Infinity } = wanted;
  const size = contentLength === undefined ? undefined : Number(contentLength);
  if (size === undefined) return { skip: start, length: end - start, exact: false };
  if (size < start) throw tooShort(where, size);
  return { skip: start, length: Math.min(end, size) - start, exact: size <= end };
}

/** The range must be the one asked for; it may end earlier only where the file does. */
function partOfRange(contentRange: string | undefined, wanted: ByteRange, where: string): BodyPart {
  const { start, end } = wanted;
  const { first, last, size } = parseContentRange(contentRange) ?? {};
  const asked = rangeHeader(wanted) !== undefined;
  if (asked && first === start && last !== undefined && last >= start) {
    const toEndOfFile = size === undefined ? end === undefined : last === size - 1;
    if (last + 1 === end || (toEndOfFile && last < (end ?? Infinity))) {
      return { skip: 0, length: last + 1 - start, exact: true };
    }
  }
  throw new BladerootError(
    'SOURCE_FAILED',
    `${where}: asked for bytes ${inWords(wanted)}, the server sends ${contentRange ?? 'a range without saying which'}`,
  );
}

// `bytes 0-99/1234` or, where the size is not known, `bytes 0-99/*`; with a 416, `bytes */1234`.
interface ContentRange {
  first: number | undefined;
  last: number | undefined;
  size: number | undefined;
}

function parseContentRange(header: string | undefined): ContentRange | undefined {
  const match = /^bytes (?:(\d+)-(\d+)|\*)\/(?:(\d+)|\*)$/.exec(header?.trim() ?? '');
  if (match === null) return undefined;
  const [first, last, size] = match
    .slice(1)
    .map((digits) => (digits === undefined ? undefined : Number(digits)));
  return { first, last, size };
}

/**
 * The part, out of the body's chunks. Where the body ends with the part, its last chunk is held back until the body has
 * ended: a reader that takes just what it asked for then leaves a connection that can be used again.
 * @throws BladerootError `SOURCE_FAILED` when the body is shorter or longer than the server has said
 */
export async function* takePart(
  body: AsyncIterable<Buffer>,
  { skip, length, exact }: BodyPart,
  where: string,
): AsyncGenerator<Buffer, void, void> {
  let before = skip;
  let missing = length;
  let last: Buffer | undefined;
  for await (const chunk of body) {
    const rest = chunk.subarray(before);
    before -= Math.min(before, chunk.length);
    if (exact && rest.length > missing) {
      throw new BladerootError('SOURCE_FAILED', `${where}: the server sends more than it was asked for`);
    }
    const part = rest.subarray(0, missing);
    missing -= part.length;
    if (missing === 0 && exact) last ??= part;
    else if (part.length > 0) yield part;
    if (missing === 0 && !exact) return;
  }
  if (before > 0 || (exact && missing > 0)) {
    throw new BladerootError(
      'SOURCE_FAILED',
      `${where} ended ${before + (exact ? missing : 0)} bytes too early`,
    );
  }
  if (last !== undefined && last.length > 0) yield last;
}

function tooShort(where: string, size: number): BladerootError {
  return new BladerootError('SOURCE_FAILED', `${where} is only ${size} bytes long`);
}

function inWords({ start, end }: ByteRange): string {
  return end === undefined ? `from ${start} on` : `${start} to ${end - 1}`;
}
