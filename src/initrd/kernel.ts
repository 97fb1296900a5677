import { BladerootError } from '../errors.ts';
import { followLinks, type ImageFiles } from '../image/files.ts';
import { packageFor, readDistribution } from './distribution.ts';

/** A kernel of an image, together with its modules. */
export interface Kernel {
  /** As `uname -r` says it, and as its directory in /lib/modules is called. */
  version: string;
  /** The kernel's file in the image. */
  path: string;
}

/**
 * The newest kernel of an image that has its modules beside it.
 * @throws BladerootError `NO_KERNEL`
 */
export async function findKernel(image: ImageFiles): Promise<Kernel> {
  const modules = await followLinks(image, 'lib/modules');
  const versions = modules === undefined ? [] : await image.list(modules);
  for (const version of versions.sort(compareVersions).reverse()) {
    for (const place of PLACES) {
      const path = await followLinks(image, place(version));
      if (path !== undefined && (await image.stat(path))?.type === 'file') return { version, path };
    }
  }
  const name = packageFor(
    { debian: 'linux-image-amd64', gentoo: 'sys-kernel/gentoo-kernel-bin' },
    await readDistribution(image),
  );
  const why =
    versions.length === 0
      ? 'there is nothing in /lib/modules'
      : `no /boot/vmlinuz-VERSION or /boot/kernel-VERSION belongs to /lib/modules/${versions.join(', ')}`;
  throw new BladerootError('NO_KERNEL', `the image has no kernel: ${why}`, {
    hint: `install ${name} in the tree`,
  });
}

/** Where kernels lie: Debian and `make install`, Gentoo's genkernel, and then dist-kernels and Fedora. */
const PLACES = [
  (version: string) => `boot/vmlinuz-${version}`,
  (version: string) => `boot/kernel-${version}`,
  (version: string) => `lib/modules/${version}/vmlinuz`,
];

/** Orders kernel versions as people do: 6.1.0-9 < 6.1.0-10 < 6.2.0-rc1 < 6.2.0. */
export function compareVersions(a: string, b: string): number {
  const left = versionParts(a);
  const right = versionParts(b);
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const order = compareParts(left[at] ?? '', right[at] ?? '');
    if (order !== 0) return order;
  }
  return 0;
}

function versionParts(version: string): string[] {
  return version.match(/\d+|[a-z]+/gi) ?? [];
}

function compareParts(a: string, b: string): number {
  const rank = partRank(a) - partRank(b);
  if (rank !== 0) return rank;
  if (partRank(a) === NUMBER) return Number(a) - Number(b);
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

const NUMBER = 3;

/** A release candidate comes before the end of a shorter version, a name after it, and a number after both. */
function partRank(part: string): number {
  if (part === 'rc') return 0;
  if (part === '') return 1;
  return /^\d/.test(part) ? NUMBER : 2;
}
