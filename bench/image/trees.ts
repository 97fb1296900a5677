/**
 * Three Debian trees of real packages: `before` is a release as it came out, `after` is it with all updates since, a
 * kernel and browsers among them, `small` is it with three small packages updated. Made once and kept.
 */
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { BladerootError } from '../../src/errors.ts';
import { readIfThere } from '../../src/system/read-file.ts';
import { run } from '../../src/system/run.ts';
import { writeFileAtomic } from '../../src/system/write-file.ts';
import { createDebianTree, DEBIAN_KERNEL } from '../../src/tree/debian.ts';
import { aptSources, type AptSources } from './apt-sources.ts';
import { aptGet, changedPackages, dropTraces, packagesIn, setSources, type Packages } from './debian-tree.ts';
import { copyTo, remove } from '../folder.ts';

const PROGRAMS =
  'chromium firefox-esr nginx postgresql git vim perl python3 libreoffice-core ' +
  'gcc g++ gdb libboost-dev golang-go openjdk-17-jdk-headless npm python3-django ' +
  'locales-all man-db manpages-dev perl-doc';
/** Large files and small ones, binaries and text: browsers, servers, what is built with, what is read. */
const PACKAGES = PROGRAMS.split(' ');
/** What a tree must have at least for its figures to mean something. */
const LEAST = { bytes: 2e9, files: 60_000 };
/** What must be new in `after`. */
const MUST_CHANGE = ['linux-image-amd64', 'chromium', 'firefox-esr'];

const SMALL_PACKAGES = 3;
/** The installed size of one of them, in kilobytes. */
const SMALL_KB = { least: 100, most: 2000 };

const RECORD = z.object({
  /** What it was made from; made anew when that changes. */
  recipe: z.string(),
  /** Files' contents, each link group once. */
  bytes: z.number(),
  /** Regular files, each link group once. */
  files: z.number(),
  /** Packages of another version than in `before`: `name old → new`. */
  changed: z.array(z.string()),
});

export interface BenchTree extends z.infer<typeof RECORD> {
  /** All of them are called `root`, so that they are versions of one tree. */
  root: string;
}

export interface BenchTrees {
  before: BenchTree;
  after: BenchTree;
  small: BenchTree;
}

export interface TreesRequest {
  /** Where they are kept: `before/root`, `after/root`, `small/root`, each beside a `tree.json` about it. */
  directory: string;
  signal: AbortSignal;
  onProgress: (line: string) => void;
}

/**
 * The trees, made where they are not there yet.
 * @throws BladerootError `BENCH_SUITES`, `BENCH_TREES` when the mirrors have too little to update
 */
export async function benchTrees(request: TreesRequest): Promise<BenchTrees> {
  const { directory, signal } = request;
  await mkdir(directory, { recursive: true });
  const sources = await aptSources(signal);
  const before = await treeOf(request, sources, 'before', async (root) => {
    // They were made of the one that is made anew.
    for (const name of ['after', 'small']) await remove(join(directory, name));
    await installRelease(root, sources, request);
  });
  const after = await treeOf(request, sources, 'after', async (root) => {
    await copyOf(before, root, sources, request);
    await aptGet(root, ['dist-upgrade'], request);
  });
  const small = await treeOf(request, sources, 'small', async (root) => {
    await copyOf(before, root, sources, request);
    await updateSmallPackages(root, await packagesIn(after.root), request);
  });
  requireChanges(after, small);
  return { before, after, small };
}

/** One tree: made aside by `make`, and there under its name when it is whole. */
async function treeOf(
  request: TreesRequest,
  sources: AptSources,
  name: keyof BenchTrees,
  make: (root: string) => Promise<void>,
): Promise<BenchTree> {
  const { directory, signal, onProgress } = request;
  const home = join(directory, name);
  const recipe = JSON.stringify([sources.codename, PACKAGES, name]);
  const text = await readIfThere(join(home, 'tree.json'));
  const record = text === undefined ? undefined : RECORD.safeParse(JSON.parse(text)).data;
  if (record?.recipe === recipe) return { ...record, root: join(home, 'root') };

  const aside = join(directory, `.${name}.new`);
  const root = join(aside, 'root');
  await Promise.all([home, aside].map(remove));
  try {
    await mkdir(aside);
    await make(root);
    await dropTraces(root, { signal, onProgress: (line) => onProgress(`${name}: ${line}`) });
    const size = await sizeOf(root, signal);
    const was = name === 'before' ? root : join(directory, 'before', 'root');
    const changed = changedPackages(await packagesIn(was), await packagesIn(root));
    await writeFileAtomic(join(aside, 'tree.json'), JSON.stringify({ recipe, ...size, changed }, null, 2));
    await rename(aside, home);
    return { recipe, ...size, changed, root: join(home, 'root') };
  } finally {
    await remove(aside);
  }
}

async function installRelease(root: string, sources: AptSources, request: TreesRequest): Promise<void> {
  await createDebianTree({
    suite: sources.codename,
    sources: sources.release,
    kernel: DEBIAN_KERNEL,
    init: 'systemd',
    include: PACKAGES,
    directory: root,
    signal: request.signal,
    onProgress: (line) => request.onProgress(`before: ${line}`),
  });
  const { bytes, files } = await sizeOf(root, request.signal);
  if (bytes >= LEAST.bytes && files >= LEAST.files) return;
  throw new BladerootError('BENCH_TREES', `a tree of ${bytes} bytes in ${files} files is too small`, {
    hint: 'name more packages in bench/trees.ts',
  });
}

/** A copy of `before` whose apt has the updates too. */
async function copyOf(
  before: BenchTree,
  root: string,
  sources: AptSources,
  request: TreesRequest,
): Promise<void> {
  request.onProgress(`copying ${before.root}`);
  await copyTo(before.root, root, request.signal);
  await setSources(root, [...sources.release, ...sources.updates], request);
}

/** Updates packages that have a small update, each of a source of its own, and that need nothing else updated. */
async function updateSmallPackages(root: string, updated: Packages, request: TreesRequest): Promise<void> {
  const installed = await packagesIn(root);
  const seen = new Set<string>();
  let done = 0;
  for (const [name, { version, source, installedKb }] of [...updated].sort()) {
    const old = installed.get(name);
    if (old === undefined || old.version === version || seen.has(source)) continue;
    if (installedKb < SMALL_KB.least || installedKb > SMALL_KB.most) continue;
    const update = ['install', '--only-upgrade', `${name}=${version}`];
    const plan = await aptGet(root, ['--simulate', ...update], request);
    if (plan.match(/^Inst /gm)?.length !== 1) continue;
    await aptGet(root, update, request);
    seen.add(source);
    done++;
    if (done === SMALL_PACKAGES) return;
  }
  throw new BladerootError('BENCH_TREES', `only ${done} small packages have an update of their own`, {
    hint: 'the mirrors have too few updates since the last point release',
  });
}

function requireChanges(after: BenchTree, small: BenchTree): void {
  const missing = MUST_CHANGE.filter((name) => !after.changed.some((line) => line.startsWith(`${name}:`)));
  if (missing.length === 0 && small.changed.length === SMALL_PACKAGES) return;
  const what = missing.length > 0 ? `no update of ${missing.join(', ')}` : 'not three small updates';
  throw new BladerootError('BENCH_TREES', `the mirrors have ${what} since the last point release`, {
    hint: 'these figures need a release that has had updates: try again in some weeks, or take a suite that has',
  });
}

/** Of the regular files below `root`, each link group once. */
async function sizeOf(root: string, signal: AbortSignal): Promise<{ bytes: number; files: number }> {
  const { stdout } = await run('find', [root, '-xdev', '-type', 'f', '-printf', '%i %s\n'], { signal });
  const sizes = new Map(
    stdout
      .trim()
      .split('\n')
      .map((line) => {
        const [inode = '', size] = line.split(' ');
        return [inode, Number(size)];
      }),
  );
  return { bytes: [...sizes.values()].reduce((sum, size) => sum + size, 0), files: sizes.size };
}
