/** Looking at and changing the packages of a Debian tree. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { assetPath } from '../../src/system/asset.ts';
import { run, type RunOptions } from '../../src/system/run.ts';
import { inNamespaces } from '../../src/tree/namespaces.ts';

export interface DebianPackage {
  version: string;
  /** The source package that it is built of. */
  source: string;
  installedKb: number;
}

/** By name and architecture, `vim:amd64`. */
export type Packages = Map<string, DebianPackage>;

/** The packages that are installed in a tree. */
export async function packagesIn(root: string): Promise<Packages> {
  const format = '${Package}:${Architecture} ${Version} ${source:Package} ${Installed-Size}\\n';
  const { stdout } = await run('dpkg-query', ['--admindir', join(root, 'var/lib/dpkg'), '-W', '-f', format]);
  return new Map(
    stdout
      .trim()
      .split('\n')
      .map((line) => {
        const [name = '', version = '', source = '', size = ''] = line.split(' ');
        return [name, { version, source, installedKb: Number(size) }];
      }),
  );
}

/** Packages of another version in `after` than in `before`, as `name old → new`; those that are new too. */
export function changedPackages(before: Packages, after: Packages): string[] {
  return [...after]
    .filter(([name, { version }]) => before.get(name)?.version !== version)
    .map(([name, { version }]) => `${name} ${before.get(name)?.version ?? '–'} → ${version}`)
    .sort();
}

export interface AptOptions {
  signal: AbortSignal;
  onProgress: (line: string) => void;
}

/** Sets what the tree's apt installs from, `sources` being lines of a sources.list. */
export async function setSources(root: string, sources: string[], options: AptOptions): Promise<void> {
  await writeFile(join(root, 'etc/apt/sources.list'), `${sources.join('\n')}\n`);
  await aptGet(root, ['update'], options);
}

/** Runs apt-get in a tree; no question is asked, configuration files stay as they are. @returns its stdout */
export async function aptGet(root: string, args: string[], options: AptOptions): Promise<string> {
  options.onProgress(`apt-get ${args.join(' ')}`);
  const keep = ['-o', 'Dpkg::Options::=--force-confdef', '-o', 'Dpkg::Options::=--force-confold'];
  const command = ['apt-get', '--yes', '--no-install-recommends', ...keep, ...args];
  return (await inTree(root, ['env', 'DEBIAN_FRONTEND=noninteractive', 'INITRD=No', ...command], options))
    .stdout;
}

function inTree(root: string, command: string[], { signal }: RunOptions): Promise<{ stdout: string }> {
  const entered = inNamespaces(['sh', assetPath('tree/enter.sh'), root, ...command]);
  return run(...entered, { signal, killSignal: 'SIGKILL' });
}

/** Removes what apt downloaded and what it logged: neither is part of an image, and peers would carry it. */
export async function dropTraces(root: string, options: AptOptions): Promise<void> {
  await aptGet(root, ['clean'], options);
  for (const directory of ['var/lib/apt/lists', 'var/log', 'var/cache/ldconfig']) {
    await run('find', [join(root, directory), '-type', 'f', '-delete'], { signal: options.signal });
  }
  await rm(join(root, 'var/cache/apt/pkgcache.bin'), { force: true });
}
