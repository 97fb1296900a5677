/** The shared libraries that programs of an image need, found as ld.so(8) would find them, without running it. */
import { matchesGlob, posix } from 'node:path';
import { BladerootError } from '../errors.ts';
import { followLinks, type ImageFiles } from '../image/files.ts';
import { isElf, readElf, type Elf } from './elf.ts';

/** A program by its path in the image, or by the path that it will have in the initrd. */
export interface Program {
  path: string;
  content: Buffer;
}

/**
 * The paths, as ld.so will look them up, of all libraries that the programs need directly or through each other, and
 * of their dynamic linkers. Links in these paths are not followed yet. Programs that are not ELF need none.
 * @throws BladerootError `LIBRARY_MISSING`, `ELF`
 */
export async function findLibraries(image: ImageFiles, programs: Program[]): Promise<string[]> {
  const configured = await readLinkerDirectories(image);
  const found = new Set<string>();
  for (const program of programs) {
    if (!isElf(program.content)) continue;
    const queue = [readObject(program.path, program.content)];
    for (let object = queue.shift(); object !== undefined; object = queue.shift()) {
      const { interpreter } = object.elf;
      const wanted = interpreter === undefined ? object.elf.needed : [interpreter, ...object.elf.needed];
      for (const name of wanted) {
        const library = await findLibrary(image, object, name, configured);
        if (library === undefined) throw libraryMissing(program.path, object.path, name);
        if (found.has(library.path)) continue;
        found.add(library.path);
        queue.push(library);
      }
    }
  }
  return [...found].sort();
}

interface ElfObject {
  path: string;
  elf: Elf;
}

/** Debian's names for the machines' library directories. */
const TRIPLETS = new Map([
  [62, 'x86_64-linux-gnu'],
  [183, 'aarch64-linux-gnu'],
]);

async function findLibrary(
  image: ImageFiles,
  object: ElfObject,
  name: string,
  configured: string[],
): Promise<ElfObject | undefined> {
  for (const path of candidates(object, name, configured)) {
    const real = await followLinks(image, path);
    if (real === undefined || (await image.stat(real))?.type !== 'file') continue;
    const content = await image.read(real);
    // A library of another kind, such as a 32-bit one in /usr/lib of a multilib Gentoo, is passed over by ld.so too.
    if (!isElf64(content)) continue;
    const library = readObject(path, content);
    if (library.elf.machine === object.elf.machine) return library;
  }
  return undefined;
}

function candidates({ path, elf }: ElfObject, name: string, configured: string[]): string[] {
  if (name.includes('/')) return [relative(name)];
  const origin = posix.dirname(path);
  const runpath = elf.runpath.map((directory) => directory.replace(/\$(?:ORIGIN|\{ORIGIN\})/, `/${origin}`));
  const triplet = TRIPLETS.get(elf.machine);
  const multiarch = triplet === undefined ? [] : [`lib/${triplet}`, `usr/lib/${triplet}`];
  const directories = [...runpath, ...configured, 'lib64', 'usr/lib64', ...multiarch, 'lib', 'usr/lib'];
  return directories.map((directory) => relative(posix.join(directory, name)));
}

function relative(path: string): string {
  return posix.join('/', path).slice(1);
}

function isElf64(content: Buffer): boolean {
  return isElf(content) && content[4] === 2;
}

function readObject(path: string, content: Buffer): ElfObject {
  try {
    return { path, elf: readElf(content) };
  } catch (error) {
    if (!(error instanceof BladerootError)) throw error;
    throw new BladerootError(error.code, `/${path}: ${error.message}`, { cause: error });
  }
}

/** What ld.so finds its configured directories by. */
export const LINKER_CACHE = 'etc/ld.so.cache';

/**
 * The directories of /etc/ld.so.conf. The linker itself reads only the cache that ldconfig makes of them, so that
 * they count for nothing in an image that has no cache.
 */
async function readLinkerDirectories(image: ImageFiles): Promise<string[]> {
  if ((await image.stat(LINKER_CACHE)) === undefined) return [];
  return await readLinkerConfig(image, 'etc/ld.so.conf', 0);
}

/** Deep enough for every real configuration, and an end for one that includes itself. */
const MAX_INCLUDES = 8;

async function readLinkerConfig(image: ImageFiles, path: string, depth: number): Promise<string[]> {
  const real = await followLinks(image, path);
  if (real === undefined || depth > MAX_INCLUDES) return [];
  const directories: string[] = [];
  for (const line of (await image.read(real)).toString().split('\n')) {
    const words = line
      .replace(/#.*/, '')
      .split(/[\s:,]+/)
      .filter(Boolean);
    if (words[0] === 'include') {
      for (const pattern of words.slice(1)) {
        for (const file of await matching(image, posix.resolve('/', posix.dirname(path), pattern))) {
          directories.push(...(await readLinkerConfig(image, file, depth + 1)));
        }
      }
    } else if (words[0] !== 'hwcap') {
      directories.push(...words);
    }
  }
  return directories;
}

async function matching(image: ImageFiles, pattern: string): Promise<string[]> {
  const directory = posix.dirname(pattern).slice(1);
  const names = await image.list((await followLinks(image, directory)) ?? directory);
  return names
    .filter((name) => matchesGlob(name, posix.basename(pattern)))
    .map((name) => `${directory}/${name}`);
}

function libraryMissing(program: string, object: string, name: string): BladerootError {
  const through = object === program ? '' : ` through /${object}`;
  return new BladerootError('LIBRARY_MISSING', `/${program} needs ${name}${through}, which the image lacks`, {
    hint: `install in the tree the package that holds ${name}, and run ldconfig there`,
  });
}
