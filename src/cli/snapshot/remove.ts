import type { Command } from 'commander';
import { BladerootError } from '../../errors.ts';
import { findId } from '../../release/find-snapshot.ts';
import { readPublicKey } from '../../release/keys.ts';
import { removeSnapshots } from '../../release/remove-snapshots.ts';
import { ReleaseRepository } from '../../release/repository.ts';
import type { Digest } from '../../store/digest.ts';
import { contextOf, leaf } from '../command.ts';
import { locked, openStore } from '../store.ts';

export function removeCommand(signal: AbortSignal): Command {
  return leaf('rm', 'remove snapshots from the list, with their tags', [
    'bladeroot snapshot rm 5f0c11d2 0b7e2a41',
    'bladeroot snapshot rm old-stable && bladeroot snapshot gc   # gc frees the room',
  ])
    .argument('<id...>', "snapshots' ids or their beginnings, or tags")
    .action(async (texts: string[], _options, command: Command) => {
      const context = contextOf(command, signal);
      const publicKey = await readPublicKey(context.stateDirectory);
      const store = await openStore(context);
      const releases = new ReleaseRepository(context.stateDirectory, publicKey);
      await locked(context, store, 'exclusive', async () => {
        const ids: Digest[] = [];
        for (const text of texts) ids.push((await findId(store, text)) ?? unknown(text));
        const tags = await removeSnapshots(store, releases, ids);
        const what = ids.length === 1 ? 'snapshot' : `${ids.length} snapshots`;
        context.output.result(
          { removed: ids, tags },
          `removed ${what} ${ids.map((id) => id.slice(0, 12)).join(', ')}; \`bladeroot snapshot gc\` frees the room`,
        );
      });
    });
}

function unknown(text: string): never {
  throw new BladerootError('UNKNOWN_SNAPSHOT', `there is no snapshot ${text}`, {
    hint: "give an id or a tag: a tree's name stands for its newest snapshot, which is not what is removed by mistake",
  });
}
