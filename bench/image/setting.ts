/** What all parts of the bench share. */
import { join } from 'node:path';
import { exists } from '../../src/system/read-file.ts';
import { perform } from './command.ts';
import type { Entrant } from './contest.ts';
import { empty } from '../folder.ts';
import type { Archiver } from './peers.ts';
import type { BenchTrees } from './trees.ts';

export interface Setting {
  trees: BenchTrees;
  /** For what the bench makes; it is removed at the end. */
  work: string;
  /** How often each command is timed. */
  rounds: number;
  signal: AbortSignal;
  onProgress: (line: string) => void;
}

/** The folder of a program's own archive of `before`. */
export function homeOf({ name }: Archiver, { work }: Setting): string {
  return join(work, 'packed', name.replaceAll(/\W+/g, '-'));
}

/** Packing `before` for the first time. */
export function packing(archiver: Archiver, setting: Setting): Entrant {
  const home = homeOf(archiver, setting);
  return {
    name: archiver.name,
    command: archiver.pack(setting.trees.before.root, home),
    prepare: async () => {
      await empty(home);
      await archiver.prepare?.(home);
    },
  };
}

/** Unpacking `before` into an empty directory. */
export function unpacking(archiver: Archiver, setting: Setting): Entrant {
  const directory = join(setting.work, 'unpacked');
  return {
    name: archiver.name,
    command: archiver.unpack(homeOf(archiver, setting), directory),
    prepare: () => empty(directory),
  };
}

/** Packs `before`, where another part of the bench has not done so. */
export async function packOnce(archiver: Archiver, setting: Setting): Promise<void> {
  if (await exists(homeOf(archiver, setting))) return;
  const { name, command, prepare } = packing(archiver, setting);
  setting.onProgress(`packing: ${name}`);
  await prepare();
  await perform(command, { signal: setting.signal });
}
