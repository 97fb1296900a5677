/** The programs that `/init` and the agent use in the initrd. */
import { posix } from 'node:path';
import { BladerootError } from '../errors.ts';
import { followLinks, type ImageFiles } from '../image/files.ts';
import { packageFor, readDistribution, type PackageNames } from './distribution.ts';
import { findSshServer } from './ssh.ts';

interface Tool {
  name: string;
  package: PackageNames;
  /** Files that the program reads, where the image has them. */
  reads?: string[];
  /** Taken along where the image has it: layouts that need it are checked against the image (overlay/check-image.ts). */
  optional?: true;
}

const UTIL_LINUX = { debian: 'util-linux', gentoo: 'sys-apps/util-linux' };
const E2FSPROGS = { debian: 'e2fsprogs', gentoo: 'sys-fs/e2fsprogs' };
const XFSPROGS = { debian: 'xfsprogs', gentoo: 'sys-fs/xfsprogs' };
const BTRFS_PROGS = { debian: 'btrfs-progs', gentoo: 'sys-fs/btrfs-progs' };

const TOOLS: Tool[] = [
  { name: 'busybox', package: { debian: 'busybox-static', gentoo: 'sys-apps/busybox' } },
  { name: 'sfdisk', package: { ...UTIL_LINUX, debian: 'fdisk' } },
  { name: 'wipefs', package: UTIL_LINUX },
  { name: 'blkid', package: UTIL_LINUX },
  { name: 'lsblk', package: UTIL_LINUX },
  { name: 'mkfs.ext4', package: E2FSPROGS, reads: ['etc/mke2fs.conf'] },
  { name: 'mke2fs', package: E2FSPROGS },
  { name: 'e2fsck', package: E2FSPROGS },
  { name: 'mkfs.vfat', package: { debian: 'dosfstools', gentoo: 'sys-fs/dosfstools' } },
  { name: 'resize2fs', package: E2FSPROGS, optional: true },
  { name: 'mkswap', package: UTIL_LINUX, optional: true },
  { name: 'mkfs.xfs', package: XFSPROGS, optional: true },
  { name: 'xfs_growfs', package: XFSPROGS, optional: true },
  { name: 'mkfs.btrfs', package: BTRFS_PROGS, optional: true },
  { name: 'btrfs', package: BTRFS_PROGS, optional: true },
  { name: 'mdadm', package: { debian: 'mdadm', gentoo: 'sys-fs/mdadm' }, optional: true },
  { name: 'tar', package: { debian: 'tar', gentoo: 'app-arch/tar' } },
  { name: 'modprobe', package: { debian: 'kmod', gentoo: 'sys-apps/kmod' } },
];

/**
 * Commands that busybox does, of those that Debian's has; none of TOOLS, which are the real ones. (A busybox sh may all
 * the same prefer its own `tar` or `modprobe`: scripts call the real ones by their paths.)
 */
export const APPLETS = (
  'sh [ basename blockdev cat chmod chroot cp cttyhack cut date dd df dirname dmesg du echo env false find free grep head ' +
  'hostname id ip kill less ln ls mkdir mknod more mount mv nslookup ping poweroff printf ps pwd readlink ' +
  'realpath reboot rm rmdir route sed seq setsid sleep sort stat switch_root sync tail tee test top touch tr true udhcpc ' +
  'umount uname uniq vi wc wget which xargs'
).split(' ');

const DIRECTORIES = ['bin', 'sbin', 'usr/bin', 'usr/sbin'];

/** Programs that have the tool's name in some trees and cannot do its work. */
const STAND_INS = new Set(['busybox', 'toybox', 'bsdtar']);

export interface FoundTools {
  /** The tools' paths in the image, by name. */
  programs: Map<string, string>;
  /** Further files that they read, and the SSH server of the rescue system where the image has one. */
  files: string[];
}

/**
 * The image's own tools.
 * @throws BladerootError `TOOL_MISSING`, which names all that are missing, each with its package.
 */
export async function findTools(image: ImageFiles): Promise<FoundTools> {
  const programs = new Map<string, string>();
  const files: string[] = [];
  const missing: Tool[] = [];
  for (const tool of TOOLS) {
    const path = await findTool(image, tool);
    if (path === undefined && tool.optional !== true) missing.push(tool);
    if (path !== undefined) programs.set(tool.name, path);
    for (const file of tool.reads ?? []) {
      if ((await followLinks(image, file)) !== undefined) files.push(file);
    }
  }
  if (missing.length > 0) throw await toolsMissing(image, missing);
  files.push(...(await findSshServer(image)));
  return { programs, files };
}

async function findTool(image: ImageFiles, tool: Tool): Promise<string | undefined> {
  for (const directory of DIRECTORIES) {
    const path = `${directory}/${tool.name}`;
    const real = await followLinks(image, path);
    if (real === undefined || (await image.stat(real))?.type !== 'file') continue;
    const name = posix.basename(real);
    if (name === tool.name || !STAND_INS.has(name)) return path;
  }
  return undefined;
}

async function toolsMissing(image: ImageFiles, missing: Tool[]): Promise<BladerootError> {
  const distribution = await readDistribution(image);
  const packages = [...new Set(missing.map((tool) => packageFor(tool.package, distribution)))];
  const list = missing.map((tool) => `${tool.name} (package ${packageFor(tool.package, distribution)})`);
  return new BladerootError('TOOL_MISSING', `the initrd needs what the image lacks: ${list.join(', ')}`, {
    hint: `install in the tree: ${packages.join(' ')}`,
  });
}
