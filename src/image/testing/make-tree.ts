/** Makes trees out of descriptions, with nothing of the pack code: make-tree.py says how. */
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { run } from '../../system/run.ts';
import type { BytePath } from '../byte-path.ts';

const MAKER = fileURLToPath(new URL('make-tree.py', import.meta.url));

export interface MadeMetadata {
  mode: number;
  uid: number;
  gid: number;
  /** Nanoseconds since 1970, decimal. */
  mtime: string;
  /** Values in hex, by name. */
  xattrs: Record<string, string>;
}

/** Random bytes, the same for the same seed: [offset, length, seed]. */
export type MadeData = readonly [offset: number, length: number, seed: number];

export type MadeThing =
  | { type: 'dir' | 'fifo' | 'socket' }
  /** What is not written is a hole. */
  | { type: 'file'; size: number; data: readonly MadeData[] }
  | { type: 'symlink'; target: BytePath }
  | { type: 'char' | 'block'; major: number; minor: number };

/** A thing at a path; '' is the directory itself. Parents come first, and a hard link's target before it. */
export type ThingToMake =
  | (MadeThing & MadeMetadata & { path: BytePath })
  | { type: 'hardlink'; path: BytePath; target: BytePath };

export async function makeTree(directory: string, things: readonly ThingToMake[]): Promise<void> {
  await mkdir(directory, { recursive: true });
  await run('python3', ['-I', '-S', MAKER, directory], { input: JSON.stringify(things) });
}

/** A thing with nothing about it that is special but what is given. */
export function plain(
  path: BytePath,
  thing: MadeThing,
  special: Partial<MadeMetadata> = {},
): MadeThing & MadeMetadata & { path: BytePath } {
  const mode = thing.type === 'dir' ? 0o755 : 0o644;
  return { path, ...thing, mode, uid: 0, gid: 0, mtime: '1700000000123456789', xattrs: {}, ...special };
}

/** A file all of whose bytes are data. */
export function dense(size: number, seed = size): MadeThing {
  return { type: 'file', size, data: [[0, size, seed]] };
}
