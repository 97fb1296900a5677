/**
 * The archive format of an initrd: "newc" cpio (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).
 * Same files, same bytes: entries are sorted, inodes count up from 1, times are 0 and everything belongs to root.
 */
import { posix } from 'node:path';
import { BladerootError } from '../errors.ts';

/** A file of the initrd. `path` has no leading slash; `mode` is permission bits, such as 0o755. */
export type InitrdFile =
  | { path: string; mode: number; content: Buffer }
  | { path: string; mode: number; directory: true }
  | { path: string; mode: number; device: CharDevice }
  /** A symbolic link, and what is written in it. */
  | { path: string; target: string };

export interface CharDevice {
  major: number;
  minor: number;
}

/**
 * The archive, piece by piece. Directories that are missing on the way to a file are made, with mode 0755.
 * @throws BladerootError `INITRD_PATH` for a path that cannot be unpacked: absolute, with `..`, there twice, or below
 * something that is no directory.
 */
export function* writeCpio(files: Iterable<InitrdFile>): Generator<Buffer> {
  let inode = 0;
  for (const file of inOrder(files)) yield* entry(file, ++inode);
  yield* entry({ path: TRAILER, mode: 0, content: Buffer.alloc(0) }, 0);
}

const TRAILER = 'TRAILER!!!';

const S_IFCHR = 0o020000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;

/** Sizes are eight hexadecimal digits. */
const MAX_SIZE = 0xffff_ffff;

function inOrder(files: Iterable<InitrdFile>): InitrdFile[] {
  const byPath = new Map<string, InitrdFile>();
  for (const file of files) {
    checkPath(file.path);
    if (byPath.has(file.path)) throw badPath(file.path, 'is there twice');
    byPath.set(file.path, file);
  }
  for (const path of Array.from(byPath.keys())) {
    for (let parent = posix.dirname(path); parent !== '.'; parent = posix.dirname(parent)) {
      const there = byPath.get(parent);
      if (there === undefined) byPath.set(parent, { path: parent, mode: 0o755, directory: true });
      else if (!('directory' in there)) throw badPath(path, `lies below ${parent}, which is no directory`);
    }
  }
  // A path sorts after its parents, so that the kernel, which unpacks in this order, finds them made.
  return [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function checkPath(path: string): void {
  const parts = path.split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..') || path.includes('\0')) {
    throw badPath(path, 'is no plain relative path');
  }
  if (path === TRAILER) throw badPath(path, 'is the name that ends an archive');
}

function badPath(path: string, why: string): BladerootError {
  return new BladerootError('INITRD_PATH', `initrd: ${JSON.stringify(path)} ${why}`);
}

function* entry(file: InitrdFile, inode: number): Generator<Buffer> {
  const { mode, links, body, device } = describe(file);
  if (body.length > MAX_SIZE) throw badPath(file.path, 'is larger than 4 GiB');
  const name = Buffer.from(`${file.path}\0`);
  const fields = [
    inode,
    mode,
    0, // uid
    0, // gid
    links,
    0, // mtime
    body.length,
    0, // major and minor of the device that the file lies on
    0,
    device.major,
    device.minor,
    name.length,
    0, // check sum, which only the "crc" format has
  ];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
  yield padded(Buffer.concat([Buffer.from(header), name]));
  if (body.length > 0) yield body;
  if (body.length % 4 > 0) yield Buffer.alloc(4 - (body.length % 4));
}

interface Description {
  mode: number;
  links: number;
  body: Buffer;
  device: CharDevice;
}

function describe(file: InitrdFile): Description {
  const plain = { links: 1, body: Buffer.alloc(0), device: { major: 0, minor: 0 } };
  // The trailer alone has no type.
  if (file.path === TRAILER) return { ...plain, mode: 0 };
  if ('content' in file) return { ...plain, mode: S_IFREG | file.mode, body: file.content };
  if ('directory' in file) return { ...plain, mode: S_IFDIR | file.mode, links: 2 };
  if ('device' in file) return { ...plain, mode: S_IFCHR | file.mode, device: file.device };
  return { ...plain, mode: S_IFLNK | 0o777, body: Buffer.from(file.target) };
}

/** What an archive says of a file; a link's content is where it leads. */
export interface ArchivedFile {
  path: string;
  type: 'file' | 'other';
  content: Buffer;
}

/**
 * The entries of an archive, up to its end.
 * @throws BladerootError `INITRD_FORMAT`
 */
export function* readCpio(archive: Buffer): Generator<ArchivedFile> {
  for (let at = 0; ;) {
    const header = archive.toString('latin1', at, at + HEADER_BYTES);
    if (!/^070701[0-9a-fA-F]{104}$/.test(header)) throw notCpio(at, 'no header of a file is there');
    const field = (index: number): number => Number.parseInt(header.slice(6 + 8 * index, 14 + 8 * index), 16);
    const [mode, bytes, nameBytes] = [field(MODE), field(FILE_SIZE), field(NAME_SIZE)];
    const body = aligned(at + HEADER_BYTES + nameBytes);
    if (nameBytes === 0 || body + bytes > archive.length) throw notCpio(at, 'it is cut off');
    const path = archive.toString('utf8', at + HEADER_BYTES, at + HEADER_BYTES + nameBytes - 1);
    if (path === TRAILER) return;
    const type = (mode & S_IFMT) === S_IFREG ? 'file' : 'other';
    yield { path, type, content: archive.subarray(body, body + bytes) };
    at = aligned(body + bytes);
  }
}

const S_IFMT = 0o170000;
const HEADER_BYTES = 110;
/** Which of the header's numbers it is. */
const MODE = 1;
const FILE_SIZE = 6;
const NAME_SIZE = 11;

function aligned(offset: number): number {
  return Math.ceil(offset / 4) * 4;
}

function notCpio(at: number, why: string): BladerootError {
  return new BladerootError('INITRD_FORMAT', `the archive cannot be read at byte ${at}: ${why}`);
}

function padded(bytes: Buffer): Buffer {
  return bytes.length % 4 === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(4 - (bytes.length % 4))]);
}
