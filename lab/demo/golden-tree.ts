/** The trees that the lab's blades run: real Debians, built once and kept for later runs. */
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { debianPackages, type DebianInit } from '../../src/tree/debian.ts';
import { writeFileAtomic } from '../../src/system/write-file.ts';
import { bladeroot, type CallOptions } from './bladeroot.ts';

const SUITE = 'bookworm';
/** Debian's kernel for virtual machines. */
const KERNEL = 'linux-image-cloud-amd64';

const TREES = {
  systemd: { name: 'golden', init: 'systemd', include: ['nginx-light'] },
  openrc: { name: 'golden-openrc', init: 'openrc', include: ['nginx-light'] },
  /** For blades whose disks are a mirror. */
  mirror: { name: 'golden-mirror', init: 'systemd', include: ['nginx-light', 'mdadm'] },
  /** For the fleet in examples/web-and-mail, as its README has it. */
  'web-and-mail': {
    name: 'golden-web-and-mail',
    init: 'systemd',
    include: ['nginx-light', 'postfix', 'postgresql'],
  },
} as const satisfies Record<string, { name: string; init: DebianInit; include: string[] }>;

type GoldenName = keyof typeof TREES;

/** A tree that is finished and as it is wanted now, or where one is to be made. */
interface GoldenTree {
  directory: string;
  stamp: string;
  wanted: string;
  finished: boolean;
}

/** @returns the tree's directory, and whether it was there already */
export async function goldenTree(
  cacheDirectory: string,
  options: CallOptions,
  tree: GoldenName = 'systemd',
): Promise<{ directory: string; reused: boolean }> {
  const { directory, stamp, wanted, finished } = await look(cacheDirectory, tree);
  if (finished) return { directory, reused: true };
  await rm(directory, { recursive: true, force: true });
  await mkdir(cacheDirectory, { recursive: true });
  const place = { state: cacheDirectory, fleet: join(cacheDirectory, 'fleet') };
  const { name, init, include } = TREES[tree];
  const from = ['--from', `debian:${SUITE}`, '--kernel', KERNEL];
  const packages = ['--init', init, '--include', include.join(',')];
  await bladeroot(place, ['tree', 'create', name, ...from, ...packages], options);
  // Written last: a tree without it was not finished.
  await writeFileAtomic(stamp, wanted);
  return { directory, reused: false };
}

/** The directory of a tree that is there already; for tests that look at one and build none. */
export async function goldenTreeIfThere(
  cacheDirectory: string,
  tree: GoldenName,
): Promise<string | undefined> {
  const { directory, finished } = await look(cacheDirectory, tree);
  return finished ? directory : undefined;
}

async function look(cacheDirectory: string, tree: GoldenName): Promise<GoldenTree> {
  const { name, init, include } = TREES[tree];
  const stamp = join(cacheDirectory, `${name}.json`);
  const wanted = JSON.stringify({ suite: SUITE, packages: [KERNEL, ...debianPackages(init), ...include] });
  const finished = (await readFile(stamp, 'utf8').catch(() => '')) === wanted;
  return { directory: join(cacheDirectory, 'trees', name), stamp, wanted, finished };
}
