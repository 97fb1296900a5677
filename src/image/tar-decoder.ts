import { BladerootError } from '../errors.ts';
import { ByteReader } from '../store/byte-reader.ts';
import { BLOCK, checksum, FIELDS, TYPE_OF_FLAG, XATTR_RECORD, type TarHeader, type TarType } from './tar.ts';

export interface TarEntry {
  header: TarHeader;
  /** `header.size` bytes; to be read before the next entry is asked for, or left. */
  content: AsyncIterable<Buffer>;
}

/**
 * Reads a tar archive as it comes: ustar, pax (extended and global headers), and GNU's long names and big numbers.
 * @throws BladerootError `TAR_CUT_OFF` when it ends too early, `TAR_DAMAGED` when it is not a tar archive
 */
export async function* decodeTar(chunks: AsyncIterable<Buffer>): AsyncGenerator<TarEntry> {
  const reader = new ByteReader(
    chunks,
    () => new BladerootError('TAR_CUT_OFF', 'the tar archive ends too early'),
  );
  const global = new Map<string, Buffer>();
  let records = new Map<string, Buffer>();
  const extended = { global: 0, entry: 0 };
  try {
    for (let block = await nextBlock(reader); block !== undefined; block = await nextBlock(reader)) {
      const flag = String.fromCharCode(block[FIELDS.typeflag[0]] ?? 0);
      if (Object.hasOwn(EXTENSIONS, flag)) {
        const size = readNumber(block, 'size');
        const sum = (extended[flag === 'g' ? 'global' : 'entry'] += BLOCK + size);
        if (!(size >= 0 && sum <= MAX_EXTENSION)) throw damaged(`extended headers of ${sum} bytes`);
        const value = await readPadded(reader, size);
        applyExtension(flag, value, flag === 'g' ? global : records);
        continue;
      }
      const header = readHeader(block, flag, new Map([...global, ...records]));
      records = new Map();
      extended.entry = 0;
      let left = header.size + ((BLOCK - (header.size % BLOCK)) % BLOCK);
      const content = async function* (): AsyncGenerator<Buffer> {
        for await (const chunk of reader.chunks(header.size)) {
          left -= chunk.length;
          yield chunk;
        }
      };
      yield { header, content: content() };
      await reader.skip(left);
    }
    // The program that writes the archive pads it with more zeros, and must not find the pipe closed.
    for await (const padding of reader.remaining()) void padding;
  } finally {
    await reader.close();
  }
}

/** A header block; undefined at the end, which is a block of zeros. */
async function nextBlock(reader: ByteReader): Promise<Buffer | undefined> {
  const block = await reader.read(BLOCK);
  if (block.every((byte) => byte === 0)) return undefined;
  if (readNumber(block, 'checksum') !== checksum(block)) throw damaged('a header has a wrong checksum');
  return block;
}

/**
 * More extended headers, for one entry or for all, are refused, as they are kept in memory: xattrs are 64 KiB each, paths
 * 4 KiB.
 */
const MAX_EXTENSION = 8 * 1024 * 1024;

async function readPadded(reader: ByteReader, size: number): Promise<Buffer> {
  const value = Buffer.from(await reader.read(size));
  await reader.skip((BLOCK - (size % BLOCK)) % BLOCK);
  return value;
}

/** Entries that say something about the next entry: pax headers, and GNU's long name and long link. */
const EXTENSIONS = { x: '', g: '', L: 'path', K: 'linkpath' };

function applyExtension(flag: string, value: Buffer, records: Map<string, Buffer>): void {
  if (flag === 'L') records.set('path', untilZero(value));
  else if (flag === 'K') records.set('linkpath', untilZero(value));
  else parsePaxRecords(value, records);
}

/** `LENGTH KEY=VALUE\n` again and again; an empty value takes a record back. */
function parsePaxRecords(bytes: Buffer, records: Map<string, Buffer>): void {
  for (let start = 0; start < bytes.length;) {
    const space = bytes.indexOf(' ', start);
    const equals = bytes.indexOf('=', space);
    const end = start + Number(bytes.toString('latin1', start, Math.max(start, space)));
    if (space < 0 || equals < 0 || !(end > equals) || bytes[end - 1] !== 0x0a) {
      throw damaged('a pax record is malformed');
    }
    const key = bytes.toString('latin1', space + 1, equals);
    const value = bytes.subarray(equals + 1, end - 1);
    if (value.length === 0 && !key.startsWith(XATTR_RECORD)) records.delete(key);
    else records.set(key, value);
    start = end;
  }
}

function readHeader(block: Buffer, flag: string, records: ReadonlyMap<string, Buffer>): TarHeader {
  for (const key of records.keys()) {
    if (key.startsWith('GNU.sparse.')) throw damaged('sparse entries are not supported');
  }
  const number = (key: 'uid' | 'gid' | 'size'): number => {
    const record = records.get(key)?.toString('latin1');
    const value = record === undefined ? readNumber(block, key) : Number(record);
    if (!Number.isSafeInteger(value) || value < 0) throw damaged(`${key} is ${record ?? value}`);
    return value;
  };
  const type = typeOf(flag);
  return {
    path: records.get('path') ?? readName(block),
    type,
    mode: readNumber(block, 'mode') & 0o7777,
    uid: number('uid'),
    gid: number('gid'),
    mtime: canonicalTime(records.get('mtime')?.toString('latin1') ?? String(readNumber(block, 'mtime'))),
    size: type === 'file' ? number('size') : 0,
    target: records.get('linkpath') ?? untilZero(field(block, 'linkname')),
    major: type === 'char' || type === 'block' ? readNumber(block, 'devmajor') : 0,
    minor: type === 'char' || type === 'block' ? readNumber(block, 'devminor') : 0,
    xattrs: xattrsOf(records),
  };
}

function typeOf(flag: string): TarType {
  const type = TYPE_OF_FLAG.get(flag);
  if (type === undefined) throw damaged(`entries of type ${JSON.stringify(flag)} are not supported`);
  return type;
}

function xattrsOf(records: ReadonlyMap<string, Buffer>): Map<string, Buffer> {
  const xattrs = new Map<string, Buffer>();
  for (const [key, value] of records) {
    if (!key.startsWith(XATTR_RECORD)) continue;
    const name = key.slice(XATTR_RECORD.length);
    xattrs.set(name.replaceAll('%3D', '=').replaceAll('%25', '%'), value);
  }
  return xattrs;
}

/** A time as TarHeader wants it: nine decimals at most, none that says nothing. */
function canonicalTime(text: string): string {
  const [, sign = '', seconds = '', decimals = ''] = /^(-?)0*(\d+?)(?:\.(\d*))?$/.exec(text) ?? [];
  if (seconds === '') throw damaged(`the time ${JSON.stringify(text)}`);
  const fraction = decimals.slice(0, 9).replace(/0+$/, '');
  const time = fraction === '' ? seconds : `${seconds}.${fraction}`;
  return time === '0' ? time : sign + time;
}

/** The `prefix` field is POSIX's; GNU's old format, with another magic, has times there. */
function readName(block: Buffer): Buffer {
  const name = untilZero(field(block, 'name'));
  const isPosix = field(block, 'magic').toString('latin1', 0, 6) === 'ustar\0';
  const prefix = isPosix ? untilZero(field(block, 'prefix')) : Buffer.alloc(0);
  return prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]);
}

/** Octal digits, or GNU's base 256 where the first bit is set: two's complement, big-endian. */
function readNumber(block: Buffer, name: keyof typeof FIELDS): number {
  const bytes = field(block, name);
  if (((bytes[0] ?? 0) & 0x80) === 0) {
    const digits = untilZero(bytes).toString('latin1').trim();
    if (!/^[0-7]*$/.test(digits)) throw damaged(`${name} is ${JSON.stringify(digits)}`);
    return digits === '' ? 0 : Number.parseInt(digits, 8);
  }
  const raw = BigInt(`0x${bytes.toString('hex')}`);
  const bits = bytes.length * 8;
  const value = Number(BigInt.asIntN(bits - 1, raw));
  if (!Number.isSafeInteger(value)) throw damaged(`${name} is too large`);
  return value;
}

function field(block: Buffer, name: keyof typeof FIELDS): Buffer {
  const [offset, length] = FIELDS[name];
  return block.subarray(offset, offset + length);
}

function untilZero(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

function damaged(why: string): BladerootError {
  return new BladerootError('TAR_DAMAGED', `not a tar archive that can be read: ${why}`);
}
