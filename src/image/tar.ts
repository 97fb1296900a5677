/**
 * Tar headers: ustar, with pax extended headers for whatever ustar has no room for (POSIX.1-2017, pax, "ustar
 * Interchange Format" and "pax Extended Header"). Names are bytes. Extended attributes are `SCHILY.xattr.*` records as
 * GNU tar writes and reads them; ACLs and capabilities are among them, in their raw form.
 */
export type TarType = 'file' | 'hardlink' | 'symlink' | 'char' | 'block' | 'dir' | 'fifo';

export interface TarHeader {
  path: Buffer;
  type: TarType;
  /** Permission bits. */
  mode: number;
  uid: number;
  gid: number;
  /** Decimal seconds since 1970, with up to nine decimals and no trailing zero, such as `-1.5`. */
  mtime: string;
  /** Bytes of content that follow the header, padded to a block; 0 for all but files. */
  size: number;
  /** What a link points to; empty for all but links. */
  target: Buffer;
  major: number;
  minor: number;
  /** By name; a name's characters are its bytes. */
  xattrs: ReadonlyMap<string, Buffer>;
}

export const BLOCK = 512;

/** The `typeflag` of each type. */
const TYPES: readonly [TarType, string][] = [
  ['file', '0'],
  ['hardlink', '1'],
  ['symlink', '2'],
  ['char', '3'],
  ['block', '4'],
  ['dir', '5'],
  ['fifo', '6'],
];
const FLAG_OF_TYPE = new Map(TYPES);
export const TYPE_OF_FLAG: ReadonlyMap<string, TarType> = new Map([
  ...TYPES.map(([type, flag]): [string, TarType] => [flag, type]),
  // As older programs write files, and "contiguous" ones.
  ['\0', 'file'],
  ['7', 'file'],
]);

export const XATTR_RECORD = 'SCHILY.xattr.';

/** Where the fields of a header block lie, [offset, length]. */
export const FIELDS = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  typeflag: [156, 1],
  linkname: [157, 100],
  magic: [257, 8],
  devmajor: [329, 8],
  devminor: [337, 8],
  prefix: [345, 155],
} as const;

/** What ends an archive. */
export const TAR_END = Buffer.alloc(2 * BLOCK);

/** What has to follow `size` bytes of content. */
export function tarPadding(size: number): Buffer {
  return ZEROS.subarray(0, (BLOCK - (size % BLOCK)) % BLOCK);
}

const ZEROS = Buffer.alloc(BLOCK);

/** The header blocks of an entry; `size` bytes of content and their padding have to follow. What is left out is 0 or empty. */
export function encodeTarHeader(entry: Pick<TarHeader, 'path' | 'type'> & Partial<TarHeader>): Buffer {
  const header: TarHeader = { ...EMPTY, ...entry };
  const { mode, uid, gid, mtime, size, major, minor } = header;
  const records = paxRecords(header);
  const block = headerBlock(header.path, FLAG_OF_TYPE.get(header.type) ?? '0');
  header.target.copy(block, FIELDS.linkname[0], 0, FIELDS.linkname[1]);
  writeOctal(block, 'mode', mode);
  writeOctal(block, 'uid', uid);
  writeOctal(block, 'gid', gid);
  writeOctal(block, 'size', size);
  writeOctal(block, 'mtime', Math.max(0, Math.floor(Number(mtime))));
  writeOctal(block, 'devmajor', major);
  writeOctal(block, 'devminor', minor);
  writeChecksum(block);
  if (records.length === 0) return block;

  const pax = headerBlock(Buffer.from('pax'), 'x');
  writeOctal(pax, 'mode', 0o644);
  writeOctal(pax, 'uid', 0);
  writeOctal(pax, 'gid', 0);
  writeOctal(pax, 'size', records.length);
  writeOctal(pax, 'mtime', 0);
  writeChecksum(pax);
  return Buffer.concat([pax, records, tarPadding(records.length), block]);
}

const EMPTY = {
  mode: 0,
  uid: 0,
  gid: 0,
  mtime: '0',
  size: 0,
  target: Buffer.alloc(0),
  major: 0,
  minor: 0,
  xattrs: new Map<string, Buffer>(),
};

/** The records for what does not fit in the header block. */
function paxRecords({ path, target, uid, gid, mtime, size, xattrs }: TarHeader): Buffer {
  const records: Buffer[] = [];
  const add = (key: string, value: string | Buffer): void => void records.push(paxRecord(key, value));
  if (!fitsName(path)) add('path', path);
  if (!fitsName(target)) add('linkpath', target);
  if (uid > MAX_ID) add('uid', String(uid));
  if (gid > MAX_ID) add('gid', String(gid));
  if (size > MAX_NUMBER) add('size', String(size));
  if (!/^\d+$/.test(mtime) || Number(mtime) > MAX_NUMBER) add('mtime', mtime);
  for (const [name, value] of xattrs) add(`${XATTR_RECORD}${encodeXattrName(name)}`, value);
  return Buffer.concat(records);
}

/** What seven and eleven octal digits hold. */
const MAX_ID = 0o7777777;
const MAX_NUMBER = 0o77777777777;

/** Names that are not ASCII go to a record: what a header block holds has no known encoding. */
function fitsName(name: Buffer): boolean {
  return name.length <= FIELDS.name[1] && name.every((byte) => byte < 0x80);
}

/** `LENGTH KEY=VALUE\n`, where the length counts itself. */
function paxRecord(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`, 'latin1'), Buffer.from(value), Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length++;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

/** As GNU tar does: the name must not hold what ends a key. */
function encodeXattrName(name: string): string {
  return name.replaceAll('%', '%25').replaceAll('=', '%3D');
}

function headerBlock(name: Buffer, typeflag: string): Buffer {
  const block = Buffer.alloc(BLOCK);
  name.copy(block, FIELDS.name[0], 0, FIELDS.name[1]);
  block.write(typeflag, FIELDS.typeflag[0], 'latin1');
  block.write('ustar\x0000', FIELDS.magic[0], 'latin1');
  return block;
}

/** Octal digits up to the terminating zero; a number that is too long is 0 here, and in a pax record. */
function writeOctal(block: Buffer, field: keyof typeof FIELDS, value: number): void {
  const [offset, length] = FIELDS[field];
  const digits = value.toString(8).padStart(length - 1, '0');
  block.write(digits.length < length ? digits : '0'.repeat(length - 1), offset, 'latin1');
}

function writeChecksum(block: Buffer): void {
  block.write(`${checksum(block).toString(8).padStart(6, '0')}\0 `, FIELDS.checksum[0], 'latin1');
}

/** The sum of a header block's bytes, its checksum field counted as spaces. */
export function checksum(block: Buffer): number {
  const [offset, length] = FIELDS.checksum;
  let sum = length * 0x20;
  for (let i = 0; i < offset; i++) sum += block[i] ?? 0;
  for (let i = offset + length; i < BLOCK; i++) sum += block[i] ?? 0;
  return sum;
}
