import type { KeyObject } from 'node:crypto';
import type { Command } from 'commander';
import { errorCode } from '../../errors.ts';
import { collectGarbage, type Garbage } from '../../release/collect-garbage.ts';
import { readPrivateKey, readPublicKey } from '../../release/keys.ts';
import { ReleaseRepository } from '../../release/repository.ts';
import { contextOf, leaf } from '../command.ts';
import { bytes } from '../output.ts';
import { locked, openStore, readStore } from '../store.ts';

export function gcCommand(signal: AbortSignal): Command {
  return leaf('gc', 'free the room of all that no listed snapshot and no release needs', [
    'bladeroot snapshot gc --dry-run     # what would be removed',
    'bladeroot snapshot gc               # waits for commands that are at work in the store',
  ])
    .option('--dry-run', 'only say what would be removed')
    .action(async ({ dryRun }: { dryRun?: boolean }, command: Command) => {
      const context = contextOf(command, signal);
      const { stateDirectory, output } = context;
      const publicKey = await readPublicKey(stateDirectory);
      const key = await privateKeyIfHere(stateDirectory);
      const store = await (dryRun === true ? readStore(context) : openStore(context));
      const releases = new ReleaseRepository(stateDirectory, publicKey);
      const garbage = await locked(context, store, dryRun === true ? 'shared' : 'exclusive', () =>
        collectGarbage({ store, releases, publicKey, key, dryRun, signal }),
      );
      output.result({ dryRun: dryRun === true, ...garbage }, describe(garbage, dryRun === true));
    });
}

/** Without it, as on a promoted blade, snapshots keep all their ways. */
async function privateKeyIfHere(stateDirectory: string): Promise<KeyObject | undefined> {
  try {
    return await readPrivateKey(stateDirectory);
  } catch (error) {
    if (errorCode(error) !== 'NO_KEY') throw error;
    return undefined;
  }
}

function describe({ files, tags, ways, bytes: size }: Garbage, isDry: boolean): string {
  const lines = files.map((file) => `${file.path} (${bytes(file.bytes)})`);
  for (const tag of tags) lines.push(`tags/${tag}`);
  const saving =
    ways === 0 ? '' : `; ${ways} ${ways === 1 ? 'way' : 'ways'} to snapshots that cost more than another`;
  lines.push(`${isDry ? 'would free' : 'freed'} ${bytes(size)} in ${files.length} files${saving}`);
  return lines.join('\n');
}
