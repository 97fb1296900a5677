/**
 * What a program says about the libraries that it needs, read from its ELF headers (System V ABI, chapters 4 and 5;
 * elf(5)) without running it. 64-bit little endian only: x86-64 and aarch64.
 */
import { BladerootError } from '../errors.ts';

export interface Elf {
  /** `e_machine`: 62 is x86-64, 183 is aarch64. */
  machine: number;
  /** The dynamic linker's path; undefined for a static program and for a library. */
  interpreter: string | undefined;
  /** DT_NEEDED: the libraries' names, in order. */
  needed: string[];
  /** DT_RUNPATH, or else DT_RPATH: directories to search first, possibly with `$ORIGIN` in them. */
  runpath: string[];
}

export function isElf(bytes: Buffer): boolean {
  return bytes.length >= MAGIC.length && bytes.subarray(0, MAGIC.length).equals(MAGIC);
}

/** @throws BladerootError `ELF` when the bytes are not a whole 64-bit little-endian ELF file. */
export function readElf(bytes: Buffer): Elf {
  if (!isElf(bytes)) throw broken('it is no ELF file');
  const header = slice(bytes, 0, 64);
  if (header[4] !== ELFCLASS64 || header[5] !== ELFDATA2LSB) throw broken('it is not 64-bit little endian');
  const segments = readSegments(bytes, header);
  const interpreter = segments.find((segment) => segment.type === PT_INTERP);
  const dynamic = segments.find((segment) => segment.type === PT_DYNAMIC);
  return {
    machine: header.readUInt16LE(18),
    interpreter: interpreter && text(slice(bytes, interpreter.offset, interpreter.size), 0),
    ...(dynamic === undefined ? { needed: [], runpath: [] } : readDynamic(bytes, segments, dynamic)),
  };
}

/**
 * A program or library without what only people and debuggers read: sections, which lie behind all that the kernel and
 * ld.so load by its segments. What is no ELF file stays as it is.
 * @throws BladerootError `ELF`
 */
export function withoutSections(bytes: Buffer): Buffer {
  if (!isElf(bytes)) return bytes;
  const header = slice(bytes, 0, 64);
  const segments = readSegments(bytes, header);
  const headersEnd = word(header, 32) + header.readUInt16LE(54) * header.readUInt16LE(56);
  const end = Math.max(headersEnd, ...segments.map(({ offset, size }) => offset + size));
  const loaded = Buffer.from(slice(bytes, 0, end));
  loaded.fill(0, E_SHOFF, E_SHOFF + 8);
  loaded.fill(0, E_SHNUM, E_SHNUM + 4);
  return loaded;
}

/** Where the section headers are, how many, and which has their names. */
const E_SHOFF = 40;
const E_SHNUM = 60;

const MAGIC = Buffer.from('\x7fELF', 'latin1');
const ELFCLASS64 = 2;
const ELFDATA2LSB = 1;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NULL = 0;
const DT_NEEDED = 1;
const DT_STRTAB = 5;
const DT_STRSZ = 10;
const DT_RPATH = 15;
const DT_RUNPATH = 29;

/** A program header: where a segment lies in the file, and in memory. */
interface Segment {
  type: number;
  offset: number;
  address: number;
  size: number;
}

function readSegments(bytes: Buffer, header: Buffer): Segment[] {
  const start = word(header, 32);
  const size = header.readUInt16LE(54);
  const count = header.readUInt16LE(56);
  if (count > 0 && size < 56) throw broken('its program headers are too small');
  return Array.from({ length: count }, (_, index) => {
    const at = slice(bytes, start + index * size, 56);
    return { type: at.readUInt32LE(0), offset: word(at, 8), address: word(at, 16), size: word(at, 32) };
  });
}

function readDynamic(bytes: Buffer, segments: Segment[], dynamic: Segment): Pick<Elf, 'needed' | 'runpath'> {
  const table = slice(bytes, dynamic.offset, dynamic.size);
  const entries: { tag: number; value: number }[] = [];
  for (let at = 0; at + 16 <= table.length; at += 16) {
    const tag = word(table, at);
    if (tag === DT_NULL) break;
    entries.push({ tag, value: word(table, at + 8) });
  }
  const values = (tag: number): number[] =>
    entries.filter((entry) => entry.tag === tag).map((entry) => entry.value);
  const [address] = values(DT_STRTAB);
  const [size] = values(DT_STRSZ);
  if (address === undefined || size === undefined) return { needed: [], runpath: [] };
  const strings = slice(bytes, fileOffset(segments, address), size);
  const [runpath] = [...values(DT_RUNPATH), ...values(DT_RPATH)];
  return {
    needed: values(DT_NEEDED).map((offset) => text(strings, offset)),
    runpath: runpath === undefined ? [] : text(strings, runpath).split(':').filter(Boolean),
  };
}

function fileOffset(segments: Segment[], address: number): number {
  const segment = segments.find(
    (one) => one.type === PT_LOAD && address >= one.address && address < one.address + one.size,
  );
  if (segment === undefined) throw broken('its string table is in no segment');
  return segment.offset + (address - segment.address);
}

/** A 64-bit word. Those too large to be exact lie far behind any file's end, which `slice` then finds. */
function word(bytes: Buffer, offset: number): number {
  return Number(slice(bytes, offset, 8).readBigUInt64LE());
}

function text(bytes: Buffer, offset: number): string {
  const end = bytes.indexOf(0, offset);
  if (offset > bytes.length || end < 0) throw broken('a name in it has no end');
  return bytes.toString('utf8', offset, end);
}

function slice(bytes: Buffer, offset: number, size: number): Buffer {
  if (offset + size > bytes.length) throw broken('it is cut off, or altered');
  return bytes.subarray(offset, offset + size);
}

function broken(why: string): BladerootError {
  return new BladerootError('ELF', `the program cannot be read: ${why}`);
}
