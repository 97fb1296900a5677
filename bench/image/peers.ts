/** The programs that bladeroot is put beside. All compress with zstd at the level that bladeroot uses. */
import { join } from 'node:path';
import { BladerootError } from '../../src/errors.ts';
import { LEVEL } from '../../src/store/frame.ts';
import { run } from '../../src/system/run.ts';
import { script } from './command.ts';

/** A program that makes one thing of a tree, and a tree of that thing again. */
export interface Archiver {
  name: string;
  /** Makes of an empty folder what `pack` wants. */
  prepare?(home: string): Promise<void>;
  /** @param home its own folder, empty or prepared. @returns program and arguments */
  pack(tree: string, home: string): string[];
  /** @param home as `pack` left it. @param directory empty */
  unpack(home: string, directory: string): string[];
}

/** What makes tar carry what bladeroot carries, and the same tree give the same archive. */
export const TAR_EXACT = "--xattrs '--xattrs-include=*' --numeric-owner";

export const tarZstd: Archiver = {
  name: 'tar, zstd -T0',
  pack: (tree, home) =>
    script(`tar -c ${TAR_EXACT} -C "$1" . | zstd -q -${LEVEL} -T0 -o "$2"`, [
      tree,
      join(home, 'tree.tar.zst'),
    ]),
  unpack: (home, directory) =>
    script(`zstd -q -dc "$1" | tar -x ${TAR_EXACT} -p -C "$2"`, [join(home, 'tree.tar.zst'), directory]),
};

/** At bladeroot's level. */
export const squashfs: Archiver = squashfsWith('squashfs-tools', ['-Xcompression-level', `${LEVEL}`]);

/** At its own level, which is 15: what one gets who does not ask for another. */
export const squashfsOwnLevel: Archiver = squashfsWith('squashfs-tools, own level', []);

function squashfsWith(name: string, level: string[]): Archiver {
  return {
    name,
    pack: (tree, home) => {
      const options = ['-comp', 'zstd', ...level, '-xattrs', '-no-progress', '-quiet'];
      return ['mksquashfs', tree, join(home, 'tree.sqfs'), ...options];
    },
    unpack: (home, directory) => {
      const options = ['-force', '-no-progress', '-quiet', '-dest', directory];
      return ['unsquashfs', ...options, join(home, 'tree.sqfs')];
    },
  };
}

export const casync: Archiver = {
  name: 'casync',
  pack: (tree, home) => [...casyncWith('make', home), join(home, 'tree.caidx'), tree],
  unpack: (home, directory) => [...casyncWith('extract', home), join(home, 'tree.caidx'), directory],
};

/** A command of casync with the chunks in `home`. */
export function casyncWith(verb: string, home: string): string[] {
  return ['casync', verb, '--compression=zstd', `--store=${join(home, 'store.castr')}`];
}

const PROGRAMS = ['bash', 'tar', 'zstd', 'taskset', 'mksquashfs', 'unsquashfs', 'casync', 'zck'];

/** @throws BladerootError `PROGRAM_MISSING` naming all peers that are not installed */
export async function requirePeers(): Promise<void> {
  const { stdout } = await run('bash', ['-c', 'type -P "$@" || true', 'bench', ...PROGRAMS]);
  const found = new Set(stdout.split('\n').map((path) => path.slice(path.lastIndexOf('/') + 1)));
  const missing = PROGRAMS.filter((name) => !found.has(name));
  if (missing.length === 0) return;
  throw new BladerootError('PROGRAM_MISSING', `not installed: ${missing.join(', ')}`, {
    hint: 'run `scripts/setup --bench`',
  });
}
