/**
 * What Linux can do with files and Node cannot: extended attributes, times to the nanosecond, device nodes, holes, locks.
 * Paths are the bytes of a BytePath; all calls block, as they do in a worker thread, and throw a PosixError.
 */
import koffi from 'koffi';

/** A system call failed; `code` is the name of its errno, as Node's own errors have it. */
export class PosixError extends Error {
  readonly code: string;

  constructor(call: string, path: string, errno: number) {
    const code = Object.entries(koffi.os.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
    super(`${code}: ${call} ${JSON.stringify(path)}`);
    this.code = code;
  }
}

const libc = koffi.load(null);
const llistxattr = libc.func('int64_t llistxattr(const void *path, void *list, uint64_t size)');
const lgetxattr = libc.func(
  'int64_t lgetxattr(const void *path, const void *name, void *value, uint64_t size)',
);
const lsetxattr = libc.func(
  'int lsetxattr(const void *path, const void *name, const void *value, uint64_t size, int flags)',
);
const lremovexattr = libc.func('int lremovexattr(const void *path, const void *name)');
const utimensat = libc.func('int utimensat(int dirfd, const void *path, const void *times, int flags)');
const mknod = libc.func('int mknod(const void *path, uint32_t mode, uint64_t dev)');
const lseek = libc.func('int64_t lseek(int fd, int64_t offset, int whence)');
const flock = libc.func('int flock(int fd, int operation)');
const syncfs = libc.func('int syncfs(int fd)');
const prctl = libc.func(
  'int prctl(int operation, uint64_t value, uint64_t third, uint64_t fourth, uint64_t fifth)',
);

const mallocTrim = libc.func('int malloc_trim(size_t pad)');

/** Gives back to the system what malloc(3) keeps of the memory that was freed (malloc_trim(3)). */
export function trimMemory(): void {
  mallocTrim(0);
}

/** The kernel's limits (XATTR_LIST_MAX, XATTR_SIZE_MAX in linux/limits.h). */
const XATTR_MAX = 65536;
const list = Buffer.alloc(XATTR_MAX);
const value = Buffer.alloc(XATTR_MAX);
/** Shared, as most things have none. */
const NONE: ReadonlyMap<string, Buffer> = new Map();

/** All extended attributes, sorted by the bytes of their names; of a symbolic link those of the link itself. */
export function readXattrs(path: string): ReadonlyMap<string, Buffer> {
  const target = zeroEnded(path);
  const size = Number(llistxattr(target, list, list.length));
  if (size < 0) {
    if (koffi.errno() === koffi.os.errno['ENOTSUP']) return NONE;
    throw failed('llistxattr', path);
  }
  if (size === 0) return NONE;
  const names = list
    .toString('latin1', 0, size - 1)
    .split('\0')
    .sort();
  return new Map(names.map((name) => [name, readXattr(target, name, path)]));
}

function readXattr(target: Buffer, name: string, path: string): Buffer {
  const size = Number(lgetxattr(target, zeroEnded(name), value, value.length));
  if (size < 0) throw failed('lgetxattr', path);
  return Buffer.from(value.subarray(0, size));
}

export function setXattr(path: string, name: string, bytes: Uint8Array): void {
  if (lsetxattr(zeroEnded(path), zeroEnded(name), bytes, bytes.length, 0) !== 0) {
    throw failed(`lsetxattr ${name}`, path);
  }
}

export function removeXattr(path: string, name: string): void {
  if (lremovexattr(zeroEnded(path), zeroEnded(name)) !== 0) throw failed(`lremovexattr ${name}`, path);
}

// From Linux's <fcntl.h>.
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const UTIME_OMIT = 0x3ffffffen;

/** Sets the time of modification of a thing, or of a symbolic link itself; nanoseconds since 1970. */
export function setMtime(path: string, nanoseconds: bigint): void {
  const below = ((nanoseconds % BILLION) + BILLION) % BILLION;
  const times = new BigInt64Array([0n, UTIME_OMIT, (nanoseconds - below) / BILLION, below]);
  if (utimensat(AT_FDCWD, zeroEnded(path), times, AT_SYMLINK_NOFOLLOW) !== 0) {
    throw failed('utimensat', path);
  }
}

const BILLION = 1_000_000_000n;

// File types of <sys/stat.h>.
const NODE_TYPES = { char: 0o020000, block: 0o060000, fifo: 0o010000 } as const;

/** Makes a device or a fifo that nobody but its owner may use, until it is given its mode. */
export function makeNode(path: string, type: keyof typeof NODE_TYPES, major: number, minor: number): void {
  if (mknod(zeroEnded(path), NODE_TYPES[type] | 0o600, encodeDevice(major, minor)) !== 0) {
    throw failed('mknod', path);
  }
}

/** As <sys/sysmacros.h> does it on Linux: 32 bits each. */
function encodeDevice(major: number, minor: number): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return (low & 0xffn) | ((high & 0xfffn) << 8n) | ((low & ~0xffn) << 12n) | ((high & ~0xfffn) << 32n);
}

export function decodeDevice(device: bigint): { major: number; minor: number } {
  return {
    major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n)),
    minor: Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n)),
  };
}

/** Where data is in an open file: [offset, length] each, in order; what is between them are holes. */
export function dataExtents(fd: number, size: number, path: string): [offset: number, length: number][] {
  const extents: [number, number][] = [];
  for (let end = 0; end < size;) {
    const start = Number(lseek(fd, end, SEEK_DATA));
    if (start < 0) {
      if (koffi.errno() === koffi.os.errno['ENXIO']) break;
      throw failed('lseek', path);
    }
    const hole = Number(lseek(fd, start, SEEK_HOLE));
    if (hole < 0) {
      // Cut off in this moment.
      if (koffi.errno() === koffi.os.errno['ENXIO']) break;
      throw failed('lseek', path);
    }
    end = Math.min(size, hole);
    if (end > start) extents.push([start, end - start]);
  }
  return extents;
}

// From Linux's <unistd.h>.
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

// From Linux's <sys/file.h>.
const LOCK_OPERATIONS = { shared: 1, exclusive: 2 } as const;
const LOCK_NB = 4;

/** Takes flock(2)'s lock on an open file, which goes with the file; false when somebody else has it. */
export function tryLock(fd: number, kind: keyof typeof LOCK_OPERATIONS): boolean {
  if (flock(fd, LOCK_OPERATIONS[kind] | LOCK_NB) === 0) return true;
  if (koffi.errno() === koffi.os.errno['EAGAIN']) return false;
  throw failed('flock', `fd ${fd}`);
}

/**
 * Writes all of a file system to its disk. Also what the disk has refused since somebody was last told is an error (Linux 5.8
 * on; `sync -f` of busybox says nothing of it, and neither does umount(8)).
 * @param fd of anything in it
 */
export function syncFileSystem(fd: number): void {
  if (syncfs(fd) !== 0) throw failed('syncfs', `fd ${fd}`);
}

// From Linux's <linux/prctl.h>.
const PR_SET_NO_NEW_PRIVS = 38;

/**
 * From now on, no program that this thread starts gains rights from a set-uid bit or file capabilities. Node starts all
 * programs from its main thread; other threads of the process are not changed.
 */
export function giveUpNewPrivileges(): void {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) !== 0) throw failed('prctl', 'PR_SET_NO_NEW_PRIVS');
}

function failed(call: string, path: string): PosixError {
  return new PosixError(call, path, koffi.errno());
}

function zeroEnded(path: string): Buffer {
  return Buffer.from(`${path}\0`, 'latin1');
}
