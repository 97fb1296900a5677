import type { Command } from 'commander';
import { repack } from '../../image/repack.ts';
import { findSnapshot } from '../../release/find-snapshot.ts';
import { readPublicKey } from '../../release/keys.ts';
import { signSnapshot } from '../../release/snapshots.ts';
import { contextOf, leaf } from '../command.ts';
import { bytes } from '../output.ts';
import { openSigningKey, withSigningOptions, type SigningOptions } from '../signing.ts';
import { locked, openStore } from '../store.ts';

export function repackCommand(signal: AbortSignal): Command {
  const command = leaf(
    'repack',
    'make another way to a snapshot: a full pack, or one for who has an older snapshot',
    [
      'bladeroot snapshot repack web                    # for blank blades; packing does it by itself when it is due',
      'bladeroot snapshot repack web --from 5f0c11d2    # for blades that are several releases behind',
    ],
  )
    .argument('<id>', "a snapshot's id or its beginning, a tag, or a tree's name")
    .option('--from <id>', 'for who has this snapshot');
  return withSigningOptions(command).action(
    async (id: string, options: SigningOptions & { from?: string }, command: Command) => {
      const context = contextOf(command, signal);
      const { stateDirectory, output } = context;
      const key = await openSigningKey(context, options);
      const publicKey = await readPublicKey(stateDirectory);
      const store = await openStore(context);
      await locked(context, store, 'shared', async () => {
        const before = await findSnapshot(store, id, publicKey);
        const from =
          options.from === undefined ? undefined : await findSnapshot(store, options.from, publicKey);
        const statement = await repack(store, before, {
          from,
          signal,
          onProgress: ({ bytesDone, bytesTotal }) =>
            output.progress(() => `repacking: ${bytes(bytesDone)} of ${bytes(bytesTotal)}`),
        });
        await signSnapshot(store, statement, key);
        const { storedBytes } = statement;
        output.result(
          { id: statement.id, storedBytes, storedBytesBefore: before.storedBytes },
          `snapshot ${statement.id.slice(0, 12)}: a blank blade fetches ${bytes(storedBytes)} (before: ${bytes(before.storedBytes)})`,
        );
      });
    },
  );
}
