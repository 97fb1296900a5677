import type { Command } from 'commander';
import { collectGarbage, type Garbage } from '../../release/collect-garbage.ts';
import { privateKeyFile, readPublicKey } from '../../release/keys.ts';
import { ReleaseRepository } from '../../release/repository.ts';
import type { SigningKey } from '../../release/signing-key.ts';
import { contextOf, leaf, type Context } from '../command.ts';
import { bytes } from '../output.ts';
import { openSigningKey, withSigningOptions, type SigningOptions } from '../signing.ts';
import { locked, openStore, readStore } from '../store.ts';

export function gcCommand(signal: AbortSignal): Command {
  const gc = leaf('gc', 'free the room of all that no listed snapshot and no release needs', [
    'bladeroot snapshot gc --dry-run     # what would be removed',
    'bladeroot snapshot gc               # waits for commands that are at work in the store',
  ]).option('--dry-run', 'only say what would be removed');
  return withSigningOptions(gc).action(
    async ({ dryRun, ...options }: SigningOptions & { dryRun?: boolean }, command: Command) => {
      const context = contextOf(command, signal);
      const { stateDirectory, output } = context;
      const publicKey = await readPublicKey(stateDirectory);
      const key = await keyIfHere(context, options);
      const store = await (dryRun === true ? readStore(context) : openStore(context));
      const releases = new ReleaseRepository(stateDirectory, publicKey);
      const garbage = await locked(context, store, dryRun === true ? 'shared' : 'exclusive', () =>
        collectGarbage({ store, releases, publicKey, key, dryRun, signal }),
      );
      output.result({ dryRun: dryRun === true, ...garbage }, describe(garbage, dryRun === true));
    },
  );
}

/**
 * Without one snapshots keep all their ways: on a blade that has no key, and where nobody is there to give the passphrase.
 */
async function keyIfHere(context: Context, options: SigningOptions): Promise<SigningKey | undefined> {
  const { key, signWith, passphraseFile } = options;
  if (key === undefined && signWith === undefined) {
    const { kind } = await privateKeyFile(context.stateDirectory);
    if (kind === 'elsewhere') return undefined;
    if (kind === 'encrypted' && passphraseFile === undefined && !process.stdin.isTTY) return undefined;
  }
  return await openSigningKey(context, options);
}

function describe({ files, tags, ways, bytes: size }: Garbage, isDry: boolean): string {
  const lines = files.map((file) => `${file.path} (${bytes(file.bytes)})`);
  for (const tag of tags) lines.push(`tags/${tag}`);
  const saving =
    ways === 0 ? '' : `; ${ways} ${ways === 1 ? 'way' : 'ways'} to snapshots that cost more than another`;
  lines.push(`${isDry ? 'would free' : 'freed'} ${bytes(size)} in ${files.length} files${saving}`);
  return lines.join('\n');
}
