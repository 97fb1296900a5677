/** The tree that the lab's blades run: a real Debian, built once and kept for later runs. */
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DEBIAN_PACKAGES } from '../../src/tree/debian.ts';
import { writeFileAtomic } from '../../src/system/write-file.ts';
import { bladeroot, type CallOptions } from './bladeroot.ts';

const SUITE = 'bookworm';
/** Debian's kernel for virtual machines. */
const KERNEL = 'linux-image-cloud-amd64';
const INCLUDE = ['nginx-light'];
const TREE = 'golden';

/** @returns the tree's directory, and whether it was there already */
export async function goldenTree(
  cacheDirectory: string,
  options: CallOptions,
): Promise<{ directory: string; reused: boolean }> {
  const directory = join(cacheDirectory, 'trees', TREE);
  const stamp = join(cacheDirectory, `${TREE}.json`);
  const wanted = JSON.stringify({ suite: SUITE, packages: [KERNEL, ...DEBIAN_PACKAGES, ...INCLUDE] });
  if ((await readFile(stamp, 'utf8').catch(() => '')) === wanted) return { directory, reused: true };
  await rm(directory, { recursive: true, force: true });
  await mkdir(cacheDirectory, { recursive: true });
  const place = { state: cacheDirectory, fleet: join(cacheDirectory, 'fleet') };
  const from = ['--from', `debian:${SUITE}`, '--kernel', KERNEL, '--include', INCLUDE.join(',')];
  await bladeroot(place, ['tree', 'create', TREE, ...from], options);
  // Written last: a tree without it was not finished.
  await writeFileAtomic(stamp, wanted);
  return { directory, reused: false };
}
