/** Small made-up images for the tests of this folder. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DirectoryFiles } from '../image/files.ts';

/** What lies at each path: a file's content, or where a symbolic link points. */
export type Sample = Record<string, string | Buffer | { target: string }>;

export interface SampleImage extends AsyncDisposable {
  root: string;
  files: DirectoryFiles;
}

/** Writes an image into a temporary directory, which goes away with `await using`. */
export async function sampleImage(sample: Sample): Promise<SampleImage> {
  const root = await mkdtemp(join(tmpdir(), 'bladeroot-image-'));
  for (const [path, content] of Object.entries(sample)) {
    const full = join(root, path);
    await mkdir(dirname(full), { recursive: true });
    if (typeof content === 'string' || Buffer.isBuffer(content)) {
      await writeFile(full, content, { mode: 0o755 });
    } else {
      await symlink(content.target, full);
    }
  }
  return {
    root,
    files: new DirectoryFiles(root),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}

/** An image that a whole initrd can be built of: merged /usr, busybox static, all else with one library. */
export function wholeImage(): Sample {
  const program = sampleElf({ interpreter: '/lib64/ld-linux-x86-64.so.2', needed: ['libc.so.6'] });
  const names = 'sfdisk wipefs blkid lsblk mke2fs e2fsck mkfs.fat tar kmod'.split(' ');
  return {
    bin: { target: 'usr/bin' },
    sbin: { target: 'usr/sbin' },
    lib: { target: 'usr/lib' },
    lib64: { target: 'usr/lib64' },
    'etc/os-release': 'ID=debian\n',
    'etc/mke2fs.conf': '[defaults]\n',
    'usr/bin/busybox': sampleElf({}),
    ...Object.fromEntries(names.map((name) => [`usr/sbin/${name}`, program])),
    'usr/sbin/mkfs.ext4': { target: 'mke2fs' },
    'usr/sbin/mkfs.vfat': { target: 'mkfs.fat' },
    'usr/sbin/modprobe': { target: '/bin/../sbin/kmod' },
    'usr/lib64/ld-linux-x86-64.so.2': sampleElf({}),
    'usr/lib64/libc.so.6': { target: 'libc-2.36.so' },
    'usr/lib64/libc-2.36.so': sampleElf({}),
    'usr/lib/modules/6.1.0-9/modules.dep': 'kernel/fs/ext4/ext4.ko:\n',
    'usr/lib/modules/6.1.0-9/kernel/fs/ext4/ext4.ko': 'ext4',
    'boot/vmlinuz-6.1.0-9': 'kernel',
  };
}

export interface SampleElf {
  machine?: number;
  interpreter?: string;
  needed?: string[];
  runpath?: string;
}

/** A file with the ELF headers of a program that needs these libraries, and nothing in it to run. */
export function sampleElf({ machine = 62, interpreter, needed = [], runpath }: SampleElf): Buffer {
  const DYNAMIC = 64 + 3 * 56;
  const strings = ['', ...needed, ...(runpath === undefined ? [] : [runpath]), interpreter ?? ''];
  const offsets = strings.map((_, index) =>
    strings.slice(0, index).reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0),
  );
  const table = Buffer.from(strings.map((text) => `${text}\0`).join(''));
  const tags = [...needed.map(() => 1), ...(runpath === undefined ? [] : [29])];
  const dynamicSize = (tags.length + 3) * 16;
  const stringsAt = DYNAMIC + dynamicSize;
  const entries = [
    [5, stringsAt + ADDRESS],
    [10, table.length],
    ...tags.map((tag, index) => [tag, offsets[index + 1] ?? 0]),
    [0, 0],
  ];
  const bytes = Buffer.concat([Buffer.alloc(stringsAt), table]);
  bytes.write('\x7fELF\x02\x01\x01', 'latin1');
  bytes.writeUInt16LE(machine, 18);
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(interpreter === undefined ? 2 : 3, 56);
  const interpreterAt = stringsAt + (offsets.at(-1) ?? 0);
  const segments = [
    [1, 0, bytes.length],
    [2, DYNAMIC, dynamicSize],
    [3, interpreterAt, bytes.length - interpreterAt],
  ];
  for (const [index, [type = 0, offset = 0, size = 0]] of segments.entries()) {
    const at = 64 + index * 56;
    bytes.writeUInt32LE(type, at);
    bytes.writeBigUInt64LE(BigInt(offset), at + 8);
    bytes.writeBigUInt64LE(BigInt(offset + ADDRESS), at + 16);
    bytes.writeBigUInt64LE(BigInt(size), at + 32);
  }
  for (const [index, [tag = 0, value = 0]] of entries.entries()) {
    bytes.writeBigUInt64LE(BigInt(tag), DYNAMIC + index * 16);
    bytes.writeBigUInt64LE(BigInt(value), DYNAMIC + index * 16 + 8);
  }
  return bytes;
}

/** Where the file is mapped, so that addresses are not offsets. */
const ADDRESS = 0x40_0000;
