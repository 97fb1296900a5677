import { posix } from 'node:path';
import { BladerootError } from '../errors.ts';
import { followLinks, type ImageFiles } from '../image/files.ts';
import type { InitrdFile } from './cpio.ts';
import type { Program } from './libraries.ts';

/**
 * What goes into an initrd, by path. The symbolic links on the way to a file (/bin -> usr/bin, libz.so.1 ->
 * libz.so.1.2.13) come along from the image, so that every path that leads somewhere in the image leads to the same
 * place in the initrd, and every other file lies at the path that it really has.
 */
export class InitrdContents {
  readonly #image: ImageFiles;
  readonly #files = new Map<string, InitrdFile>();

  constructor(image: ImageFiles) {
    this.#image = image;
  }

  /**
   * Copies a regular file of the image.
   * @throws BladerootError `FILE_MISSING` when the path leads to none.
   */
  async copy(path: string): Promise<void> {
    const real = await this.#follow(path);
    if (this.#files.has(real)) return;
    const stat = await this.#image.stat(real);
    if (stat?.type !== 'file') throw new BladerootError('FILE_MISSING', `the image has no file /${path}`);
    const content = await this.#image.read(real);
    this.#files.set(real, { path: real, mode: stat.mode, content });
  }

  /** Adds a file that is not the image's own, in place of one of the same path. */
  async add(file: InitrdFile): Promise<void> {
    const parent = posix.dirname(file.path);
    const real = parent === '.' ? '' : await this.#follow(parent);
    const path = posix.join(real, posix.basename(file.path));
    this.#files.set(path, { ...file, path });
  }

  files(): InitrdFile[] {
    return [...this.#files.values()];
  }

  /** The files that may be run. */
  executables(): Program[] {
    return this.files().filter(isExecutable);
  }

  /** The path without links in it; the links that were passed are taken along. What is not in the image stays as it is. */
  async #follow(path: string): Promise<string> {
    const image = this.#image;
    const passed: InitrdFile[] = [];
    const noting: ImageFiles = {
      stat: async (name) => {
        const stat = await image.stat(name);
        if (stat?.target !== undefined) passed.push({ path: name, target: stat.target });
        return stat;
      },
      list: (name) => image.list(name),
      read: (name) => image.read(name),
    };
    const real = await followLinks(noting, path);
    if (real === undefined) {
      const parent = posix.dirname(path);
      return posix.join(parent === '.' ? '' : await this.#follow(parent), posix.basename(path));
    }
    for (const link of passed) {
      if (!this.#files.has(link.path)) this.#files.set(link.path, link);
    }
    return real;
  }
}

function isExecutable(file: InitrdFile): file is Program & InitrdFile {
  return 'content' in file && (file.mode & 0o111) !== 0;
}
