import type { Command } from 'commander';
import { diffManifests } from '../../image/diff.ts';
import { parseManifest } from '../../image/manifest.ts';
import { findSnapshot } from '../../release/find-snapshot.ts';
import { readPublicKey } from '../../release/keys.ts';
import { contextOf, leaf } from '../command.ts';
import { locked, readStore } from '../store.ts';
import { differenceAsJson, linesOf, summaryOf } from '../tree-difference.ts';

export function diffCommand(signal: AbortSignal): Command {
  return leaf('diff', 'list what was added, removed and changed from one snapshot to another', [
    'bladeroot snapshot diff 5f0c11d2 debian    # from that one to the newest of the tree debian',
    'bladeroot snapshot diff stable testing --json',
  ])
    .argument('<a>', "a snapshot's id or its beginning, a tag, or a tree's name")
    .argument('<b>', 'the other one')
    .action(async (a: string, b: string, _options, command: Command) => {
      const context = contextOf(command, signal);
      const publicKey = await readPublicKey(context.stateDirectory);
      const store = await readStore(context);
      await locked(context, store, 'shared', async () => {
        const [from, to] = [await findSnapshot(store, a, publicKey), await findSnapshot(store, b, publicKey)];
        const before = parseManifest(await store.readManifest(from.id));
        const difference = diffManifests(before, parseManifest(await store.readManifest(to.id)));
        context.output.result(
          { from: from.id, to: to.id, ...differenceAsJson(difference) },
          [...linesOf(difference), summaryOf(difference)].join('\n'),
        );
      });
    });
}
