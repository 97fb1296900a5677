import { join } from 'node:path';
import type { Command } from 'commander';
import { contentBytes, waysByCost } from '../../image/statement.ts';
import { readPublicKey } from '../../release/keys.ts';
import { findSnapshot } from '../../release/snapshots.ts';
import { Store } from '../../store/store.ts';
import { contextOf, leaf } from '../command.ts';
import { bytes } from '../output.ts';

export function showCommand(signal: AbortSignal): Command {
  return leaf('show', 'show one snapshot', [
    'bladeroot snapshot show debian',
    'bladeroot snapshot show 5f0c11d2 --json',
  ])
    .argument('<id>', "a snapshot's id or its beginning, or a tree's name")
    .action(async (id: string, _options, command: Command) => {
      const { stateDirectory, output } = contextOf(command, signal);
      const store = await Store.open(join(stateDirectory, 'store'));
      const snapshot = await findSnapshot(store, id, await readPublicKey(stateDirectory));
      const lines = [
        `snapshot  ${snapshot.id}`,
        `tree      ${snapshot.tree}`,
        `created   ${snapshot.created}`,
        `size      ${bytes(contentBytes(snapshot))}, ${bytes(snapshot.storedBytes)} stored`,
        ...snapshot.layers.flatMap((layer) => [
          `layer     ${layer.name}: ${layer.entries} entries, ${layer.objects} objects`,
          ...(waysByCost(layer)[0] ?? []).map((item) => `  pack    ${item.id} (${bytes(item.bytes)})`),
        ]),
      ];
      output.result(snapshot, lines.join('\n'));
    });
}
