import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BladerootError, errorCode } from '../errors.ts';
import { DirectoryFiles, followLinks } from '../image/files.ts';
import { run } from '../system/run.ts';
import { syncDirectory } from '../system/write-file.ts';
import { createDebianTree, DEBIAN_KERNEL, type DebianInit } from './debian.ts';
import { lockTree } from './lock.ts';

export interface Tree {
  name: string;
  path: string;
  /** What /etc/os-release says, such as `Debian GNU/Linux 12 (bookworm)`. */
  system: string;
}

export interface CreateTreeRequest {
  name: string;
  /** `debian`, `debian:SUITE`, a directory, or a tar archive (a Gentoo stage 3, say), compressed or not. */
  from: string;
  /** Packages beside the necessary ones, the kernel's, and what starts services (systemd when left out); for `debian` only. */
  include?: string[];
  kernel?: string;
  init?: DebianInit;
  signal?: AbortSignal | undefined;
  onProgress?: (line: string) => void;
}

const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const DEFAULT_SUITE = 'bookworm';

/** The golden root filesystems of this machine, a directory each. */
export class Trees {
  readonly directory: string;

  constructor(stateDirectory: string) {
    this.directory = join(stateDirectory, 'trees');
  }

  async list(): Promise<Tree[]> {
    const entries = await readdir(this.directory, { withFileTypes: true }).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return [];
      throw error;
    });
    const names = entries
      .filter((entry) => entry.isDirectory() && NAME.test(entry.name))
      .map(({ name }) => name);
    return await Promise.all(names.sort().map((name) => this.#describe(name)));
  }

  /** @throws BladerootError `NO_TREE` */
  async get(name: string): Promise<Tree> {
    const found = await stat(join(this.directory, name)).catch(() => undefined);
    if (NAME.test(name) && found?.isDirectory() === true) return await this.#describe(name);
    const names = (await this.list()).map((tree) => tree.name).join(', ');
    throw new BladerootError('NO_TREE', `there is no tree ${name} in ${this.directory}`, {
      hint: names === '' ? 'make one with `bladeroot tree create`' : `there are: ${names}`,
    });
  }

  /**
   * Makes a tree. It is built aside and appears under its name when it is whole; what a stopped run left is removed.
   * @throws BladerootError `TREE_NAME`, `TREE_EXISTS`, `TREE_BUSY`, `TREE_SOURCE`
   */
  async create(request: CreateTreeRequest): Promise<Tree> {
    const { name } = request;
    if (!NAME.test(name)) {
      throw new BladerootError('TREE_NAME', `${JSON.stringify(name)} is no name for a tree`, {
        hint: 'use lower-case letters, digits, dots, dashes and underscores, beginning with a letter or digit',
      });
    }
    const path = join(this.directory, name);
    await mkdir(this.directory, { recursive: true });
    const lock = join(this.directory, `.${name}.lock`);
    const unlock = await lockTree(lock);
    try {
      await this.#create(path, request);
    } finally {
      await rm(lock);
      await unlock();
    }
    return await this.#describe(name);
  }

  async #create(path: string, request: CreateTreeRequest): Promise<void> {
    const { name } = request;
    if ((await stat(path).catch(() => undefined)) !== undefined) {
      throw new BladerootError('TREE_EXISTS', `there is a tree ${name} already (${path})`, {
        hint: 'choose another name, or remove that directory',
      });
    }
    const aside = join(this.directory, `.${name}.new`);
    await rm(aside, { recursive: true, force: true });
    try {
      await fill(aside, request);
      await rename(aside, path);
    } catch (error) {
      await rm(aside, { recursive: true, force: true });
      throw error;
    }
    await syncDirectory(this.directory);
  }

  async #describe(name: string): Promise<Tree> {
    const path = join(this.directory, name);
    return { name, path, system: await systemOf(path) };
  }
}

async function fill(directory: string, request: CreateTreeRequest): Promise<void> {
  const { from, signal, onProgress } = request;
  const debian = /^debian(?::([a-z]+))?$/.exec(from);
  if (debian !== null) {
    const suite = debian[1] ?? DEFAULT_SUITE;
    const progress = onProgress === undefined ? {} : { onProgress };
    const { include = [], kernel = DEBIAN_KERNEL, init = 'systemd' } = request;
    await createDebianTree({ suite, kernel, init, include, directory, signal, ...progress });
    return;
  }
  const source = await stat(from).catch(() => undefined);
  if (source?.isDirectory() === true) {
    onProgress?.(`copying ${from}`);
    // With `/.`, what a link leads to is copied, and not the link.
    const exact = ['--archive', '--reflink=auto', '--one-file-system'];
    await run('cp', [...exact, '--', `${from}/.`, directory], { signal });
  } else if (source?.isFile() === true) {
    onProgress?.(`unpacking ${from}`);
    await mkdir(directory, { mode: 0o755 });
    const exact = ['--xattrs', '--xattrs-include=*', '--acls', '--numeric-owner', '--same-owner', '-p'];
    // --force-local: a colon in the name does not make it another machine's.
    await run('tar', ['-x', '--force-local', '-f', from, '-C', directory, ...exact], { signal });
  } else {
    throw new BladerootError('TREE_SOURCE', `${from} is neither a directory nor an archive`, {
      hint: 'give `debian`, `debian:SUITE`, a directory that holds a root filesystem, or a tar archive of one',
    });
  }
}

async function systemOf(path: string): Promise<string> {
  // os-release is a link in most systems, and an absolute one must not lead out of the tree.
  const osRelease = await followLinks(new DirectoryFiles(path), 'etc/os-release');
  if (osRelease === undefined) return 'unknown';
  const text = await readFile(join(path, osRelease), 'utf8');
  return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(text)?.[1] ?? 'unknown';
}
