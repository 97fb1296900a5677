import { join } from 'node:path';
import type { Command } from 'commander';
import { contentBytes } from '../../image/statement.ts';
import { readPublicKey } from '../../release/keys.ts';
import { readSnapshots } from '../../release/snapshots.ts';
import { Store } from '../../store/store.ts';
import { contextOf, leaf } from '../command.ts';
import { bytes, table } from '../output.ts';

export function listCommand(signal: AbortSignal): Command {
  return leaf('list', 'list the snapshots, oldest first', ['bladeroot snapshot list']).action(
    async (_options, command: Command) => {
      const { stateDirectory, output } = contextOf(command, signal);
      const store = await Store.open(join(stateDirectory, 'store'));
      const all = await readSnapshots(store, await readPublicKey(stateDirectory));
      const rows = all.map((snapshot) => [
        snapshot.id.slice(0, 12),
        snapshot.tree,
        snapshot.created.slice(0, 19).replace('T', ' '),
        bytes(contentBytes(snapshot)),
        bytes(snapshot.storedBytes),
      ]);
      const headings = ['SNAPSHOT', 'TREE', 'CREATED (UTC)', 'SIZE', 'STORED'];
      output.result(all, rows.length === 0 ? 'no snapshots' : table(headings, rows));
    },
  );
}
