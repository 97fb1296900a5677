/** The program in a tree: what makes a blade report, start by itself, and be the root when it has to. */
import { chmod, lstat, mkdir, readdir, readFile, readlink, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BladerootError } from '../errors.ts';
import { DirectoryFiles, followLinks } from '../image/files.ts';
import { ASSETS, isBundled, programDirectory, readAsset } from '../system/asset.ts';
import { WORKERS } from '../system/workers.ts';
import { writeFileAtomic } from '../system/write-file.ts';
import { findServiceManager } from './services/detect.ts';

/** Where the program lies in every tree, and so on every blade. */
export const PROGRAM = 'opt/bladeroot';
export const PROGRAM_NODE = `${PROGRAM}/bin/node`;
export const PROGRAM_AGENT = `${PROGRAM}/lib/agent.mjs`;
/** What the agent needs besides: its threads, and the library by which they call the system. */
export const AGENT_PARTS = [`${PROGRAM}/lib/image/unpack-worker.mjs`, `${PROGRAM}/lib/node_modules`] as const;
/** The service that reports and stands by on a blade; every blade starts it. */
const BLADE_SERVICE = 'bladeroot';
/** The service of a root on a blade; `promote` starts it. */
export const ROOT_SERVICE = 'bladeroot-root';

const UNITS = 'usr/local/lib/systemd/system';
const INIT_SCRIPTS = 'etc/init.d';

type ProgramFile = { path: string } & ({ content: Buffer; mode: number } | { target: string });

/**
 * Puts the program into a tree, or brings it up to date there; what is right already is not touched, so that the
 * snapshot stays the same.
 * @returns how many files were written.
 * @throws BladerootError `TREE_LINK` when a link of the tree leads nowhere
 */
export async function installProgram(tree: string): Promise<number> {
  const files = [
    ...(isBundled ? await ownFiles() : await bundledFiles()),
    { path: 'usr/local/bin/bladeroot', target: `/${PROGRAM}/bin/bladeroot` },
    ...(await serviceFiles(tree)),
  ];
  let written = 0;
  for (const file of files) {
    const directory = join(tree, await placeInTree(tree, dirname(file.path)));
    if (await put(join(directory, basename(file.path)), file)) written++;
  }
  return written;
}

/**
 * A directory of the tree by its real path: a link in it that is absolute must not lead out of the tree.
 * @throws BladerootError `TREE_LINK`
 */
async function placeInTree(tree: string, directory: string): Promise<string> {
  if (directory === '.') return '';
  const files = new DirectoryFiles(tree);
  const real = await followLinks(files, directory);
  if (real !== undefined) return real;
  const place = join(await placeInTree(tree, dirname(directory)), basename(directory));
  const target = (await files.stat(place))?.target;
  if (target === undefined) return place;
  throw new BladerootError(
    'TREE_LINK',
    `/${place} of the tree ${tree} is a link to ${target}, where nothing is`,
    {
      hint: 'make that directory in the tree, or remove the link',
    },
  );
}

/** An installed program gives a tree what it is itself made of. */
async function ownFiles(): Promise<ProgramFile[]> {
  return await filesBelow(dirname(programDirectory), PROGRAM);
}

/** The sources are bundled: Node strips types nowhere below a node_modules, and a blade has no npm. */
async function bundledFiles(): Promise<ProgramFile[]> {
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    entryPoints: {
      bladeroot: join(programDirectory, 'cli/main.ts'),
      agent: join(programDirectory, 'agent/main.ts'),
      ...Object.fromEntries(WORKERS.map((worker) => [worker, join(programDirectory, `${worker}.ts`)])),
    },
    outdir: 'lib',
    outExtension: { '.js': '.mjs' },
    write: false,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    // koffi loads its own binary; esbuild and the lab are of no use where there are no sources.
    external: ['koffi', 'esbuild', './lab.ts'],
    banner: { js: BANNER },
    legalComments: 'none',
    logLevel: 'silent',
  });
  const bundles = outputFiles.map(({ path, contents }) => ({
    path: `${PROGRAM}/lib/${relative(join(process.cwd(), 'lib'), path)}`,
    content: Buffer.from(contents),
    mode: 0o644,
  }));
  const assets = ASSETS.map(async (asset) => ({
    path: `${PROGRAM}/lib/${asset}`,
    content: await readAsset(asset),
    mode: 0o644,
  }));
  return [
    ...bundles,
    ...(await Promise.all(assets)),
    ...(await koffiFiles()),
    { path: `${PROGRAM}/bin/bladeroot`, content: Buffer.from(LAUNCHER), mode: 0o755 },
    { path: PROGRAM_NODE, content: await readFile(process.execPath), mode: 0o755 },
  ];
}

/** What is CommonJS among the libraries calls require(), which ES modules do not have. */
const BANNER =
  "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);";

/** koffi and its binary for this machine, without its sources. */
async function koffiFiles(): Promise<ProgramFile[]> {
  const koffi = dirname(fileURLToPath(import.meta.resolve('koffi')));
  const binary = `@koromix/koffi-linux-${process.arch}`;
  const native = dirname(createRequire(join(koffi, 'index.js')).resolve(binary));
  const wanted = [
    ...(await filesBelow(koffi, `${PROGRAM}/lib/node_modules/koffi`)),
    ...(await filesBelow(native, `${PROGRAM}/lib/node_modules/${binary}`)),
  ].filter(({ path }) => /\.(js|cjs|json|node)$/.test(path) && !/\/(vendor|musl_\w+)\/|cnoke/.test(path));
  if (!wanted.some(({ path }) => path.endsWith('.node'))) {
    throw new BladerootError('PROGRAM_INCOMPLETE', `koffi has no binary for ${process.arch} in ${native}`, {
      hint: 'run scripts/setup again',
    });
  }
  return wanted;
}

async function filesBelow(directory: string, as: string): Promise<ProgramFile[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return await Promise.all(
    files.map(async (path) => ({
      path: join(as, relative(directory, path)),
      content: await readFile(path),
      mode: (await lstat(path)).mode & 0o111 ? 0o755 : 0o644,
    })),
  );
}

/**
 * As bin/bladeroot: in half the memory, for some hundredths of the time, except for the root, which answers twice as many
 * machines otherwise. The variable: buffers go back to the system when they are freed, instead of staying with the
 * process (mallopt(3)).
 */
const LAUNCHER = `#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
export MALLOC_MMAP_THRESHOLD_=262144
# Threads share what they have freed, too.
export MALLOC_ARENA_MAX=2
case " $* " in
  *" serve "*) memory= ;;
  *) memory="--max-semi-space-size=4 --heap-growing-percent=10" ;;
esac
exec "$here/node" --disable-warning=ExperimentalWarning $memory "$here/../lib/bladeroot.mjs" "$@"
`;

/** What its service manager knows the program by; none where the tree has none yet, and can be on no blade. */
async function serviceFiles(tree: string): Promise<ProgramFile[]> {
  const services = await findServiceManager(new DirectoryFiles(tree));
  if (services === undefined) return [];
  const names = [BLADE_SERVICE, ROOT_SERVICE] as const;
  if (services.name === 'systemd') {
    const units = names.map(async (name) => ({
      path: `${UNITS}/${name}.service`,
      content: await readAsset(`tree/${name}.service`),
      mode: 0o644,
    }));
    const wanted = `etc/systemd/system/multi-user.target.wants/${BLADE_SERVICE}.service`;
    return [...(await Promise.all(units)), { path: wanted, target: `/${UNITS}/${BLADE_SERVICE}.service` }];
  }
  const scripts = names.map(async (name) => ({
    path: `${INIT_SCRIPTS}/${name}`,
    content: await readAsset(`tree/${name}.openrc`),
    mode: 0o755,
  }));
  const started = `etc/runlevels/default/${BLADE_SERVICE}`;
  return [...(await Promise.all(scripts)), { path: started, target: `/${INIT_SCRIPTS}/${BLADE_SERVICE}` }];
}

/** Returns whether something had to be written. */
async function put(path: string, file: ProgramFile): Promise<boolean> {
  await mkdir(dirname(path), { recursive: true });
  const there = await lstat(path).catch(() => undefined);
  if ('target' in file) {
    if (there?.isSymbolicLink() === true && (await readlink(path)) === file.target) return false;
    await rm(path, { force: true });
    await symlink(file.target, path);
    return true;
  }
  const same =
    there?.isFile() === true &&
    (there.mode & 0o7777) === file.mode &&
    there.size === file.content.length &&
    (await readFile(path)).equals(file.content);
  if (same) return false;
  await writeFileAtomic(path, file.content, { mode: file.mode });
  await chmod(path, file.mode);
  return true;
}
