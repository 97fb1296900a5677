/** bladeroot itself, called as an administrator calls it. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { run } from '../../src/system/run.ts';
import { perform } from './command.ts';
import type { Archiver } from './peers.ts';

const BLADEROOT = fileURLToPath(new URL('../../bin/bladeroot', import.meta.url));

/** What `snapshot pack --json` prints, as far as it is wanted here; lengths in bytes. */
const PACKED = z.object({
  id: z.string(),
  /** What a blank blade fetches. */
  storedBytes: z.number(),
  /** What a blade fetches that has the base. */
  newBytes: z.number(),
  filesRead: z.number(),
});

export type Packed = z.infer<typeof PACKED>;

export const ours: Archiver = {
  name: 'bladeroot',
  async prepare(state) {
    await run(BLADEROOT, ['init', ...place(state)]);
  },
  pack: (tree, state) => packCommand(tree, state),
  unpack: (state, directory) => unpackCommand('root', state, directory),
};

/** @param tree a directory. @param base the id of a snapshot; when left out, the newest of the same name if there is one */
export function packCommand(tree: string, state: string, base?: string): string[] {
  const from = base === undefined ? [] : ['--base', base];
  return [BLADEROOT, 'snapshot', 'pack', tree, ...from, '--json', ...place(state)];
}

/** @param snapshot an id, or the name of a tree for its newest */
export function unpackCommand(snapshot: string, state: string, directory: string): string[] {
  return [BLADEROOT, 'snapshot', 'unpack', snapshot, directory, ...place(state)];
}

/** @param stdout what `packCommand` printed */
export function packedOf(stdout: string): Packed {
  return PACKED.parse(JSON.parse(stdout));
}

/** Packs a tree, with nothing measured. */
export async function packTree(
  tree: string,
  state: string,
  options: { base?: string; signal: AbortSignal },
): Promise<Packed> {
  const { stdout } = await perform(packCommand(tree, state, options.base), { signal: options.signal });
  return packedOf(stdout);
}

function place(state: string): string[] {
  return ['--state', state, '--fleet', join(state, 'fleet')];
}
