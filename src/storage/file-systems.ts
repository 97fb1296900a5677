/** Makes file systems and lets them grow, each by its own programs. */
import { mkdir, open } from 'node:fs/promises';
import { BladerootError } from '../errors.ts';
import type { FileSystem } from '../fleet/disk-fields.ts';
import { exists } from '../system/read-file.ts';
import { ProgramFailed, run } from '../system/run.ts';
import { unmountIfMounted } from '../slot/mounts.ts';

interface FileSystemPrograms {
  make: (device: string, label: string[]) => [program: string, ...args: string[]];
  /** The option before a label. */
  label: string;
  /** All but ext4 while it is mounted at `directory`; what has none keeps its size. */
  grow?: (device: string, directory: string) => [program: string, ...args: string[]];
  /** The package of Debian that has them. */
  package: string;
}

const LAZY = 'lazy_itable_init=1,lazy_journal_init=1';

const PROGRAMS: Record<FileSystem, FileSystemPrograms> = {
  ext4: {
    make: (device, label) => ['mkfs.ext4', '-q', '-F', '-m', '1', '-E', LAZY, ...label, device],
    label: '-L',
    grow: (device) => ['resize2fs', device],
    package: 'e2fsprogs',
  },
  xfs: {
    make: (device, label) => ['mkfs.xfs', '-q', '-f', ...label, device],
    label: '-L',
    grow: (_, directory) => ['xfs_growfs', directory],
    package: 'xfsprogs',
  },
  btrfs: {
    make: (device, label) => ['mkfs.btrfs', '-q', '-f', ...label, device],
    label: '-L',
    grow: (_, directory) => ['btrfs', 'filesystem', 'resize', 'max', directory],
    package: 'btrfs-progs',
  },
  vfat: {
    make: (device, label) => ['mkfs.vfat', '-F', '32', ...label, device],
    label: '-n',
    package: 'dosfstools',
  },
  swap: { make: (device, label) => ['mkswap', ...label, device], label: '-L', package: 'util-linux' },
};

/** Where a file system is mounted for as long as it grows. */
const GROW_MOUNT = '/run/bladeroot-grow';

/** @throws BladerootError `PROGRAM_MISSING` when the initrd lacks what makes one of the file systems that are to be made */
export async function requirePrograms(
  partitions: readonly { name: string; fs?: FileSystem; change: string; untouchable: boolean }[],
): Promise<void> {
  for (const { name, fs, change, untouchable } of partitions) {
    if (fs === undefined || change === 'keep' || untouchable) continue;
    const programs = PROGRAMS[fs];
    const [program = ''] = change === 'grow' ? (programs.grow?.('', '') ?? []) : programs.make('', []);
    if (program === '' || (await isThere(program))) continue;
    throw new BladerootError('PROGRAM_MISSING', `${name} is to be ${fs}, and the initrd has no ${program}`, {
      hint: `install ${programs.package} in the tree, pack it and publish; nothing was written`,
    });
  }
}

/** Whether a program is on the way that programs are looked for. */
export async function isThere(program: string): Promise<boolean> {
  const folders = (process.env['PATH'] ?? '').split(':');
  return (await Promise.all(folders.map((folder) => exists(`${folder}/${program}`)))).includes(true);
}

/** Whatever the device holds is lost. */
export async function makeFileSystem(fs: FileSystem, device: string, label?: string): Promise<void> {
  const { make, label: option } = PROGRAMS[fs];
  const [program, ...args] = make(device, label === undefined ? [] : [option, label]);
  await run(program, args);
}

/**
 * Lets a file system have all of its device; one that has it already is left alone.
 * @param hasGrown whether the device has just grown: swap is then made anew, as there is nothing in it between two boots
 */
export async function growFileSystem(
  fs: FileSystem,
  device: string,
  { hasGrown }: { hasGrown: boolean },
): Promise<void> {
  if (fs === 'swap' && hasGrown) await makeFileSystem(fs, device);
  if (fs === 'ext4') {
    if (hasGrown || (await hasRoomForExt4(device))) await growExt4(device);
    return;
  }
  const grow = PROGRAMS[fs].grow?.(device, GROW_MOUNT);
  if (grow === undefined) return;
  const [program, ...args] = grow;
  if (!hasGrown && !(await isThere(program))) return;
  await unmountIfMounted(GROW_MOUNT);
  await mkdir(GROW_MOUNT, { recursive: true });
  await run('mount', ['-t', fs, device, GROW_MOUNT]);
  try {
    await run(program, args);
  } finally {
    await run('umount', [GROW_MOUNT]);
  }
}

/** resize2fs asks that it be checked right before. */
async function growExt4(device: string): Promise<void> {
  try {
    await run('e2fsck', ['-f', '-p', device]);
  } catch (error) {
    // 1: errors were corrected (e2fsck(8)).
    if (!(error instanceof ProgramFailed) || error.status !== 1) throw error;
  }
  await run('resize2fs', [device]);
}

/** A block group: what is left behind the last whole one may be too little to be used. */
const EXT4_GROUP_BYTES = 128 * 1024 ** 2;

/** By its superblock (kernel's documentation, filesystems/ext4: s_blocks_count_lo and _hi, s_log_block_size). */
async function hasRoomForExt4(device: string): Promise<boolean> {
  const file = await open(device, 'r');
  try {
    const { buffer } = await file.read(Buffer.alloc(1024), 0, 1024, 1024);
    const blocks = buffer.readUInt32LE(0x04) + buffer.readUInt32LE(0x150) * 2 ** 32;
    const bytes = blocks * 1024 * 2 ** buffer.readUInt32LE(0x18);
    const { stdout } = await run('blockdev', ['--getsize64', device]);
    return Number(stdout) - bytes > EXT4_GROUP_BYTES;
  } finally {
    await file.close();
  }
}
