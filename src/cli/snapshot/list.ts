import type { Command } from 'commander';
import { contentBytes } from '../../image/statement.ts';
import { readPublicKey } from '../../release/keys.ts';
import { readListed } from '../../release/snapshots.ts';
import type { Digest } from '../../store/digest.ts';
import { contextOf, leaf } from '../command.ts';
import { bytes, table } from '../output.ts';
import { readStore } from '../store.ts';

export function listCommand(signal: AbortSignal): Command {
  return leaf('list', 'list the snapshots, oldest first', [
    'bladeroot snapshot list',
    'bladeroot snapshot list --json',
  ]).action(async (_options, command: Command) => {
    const context = contextOf(command, signal);
    const publicKey = await readPublicKey(context.stateDirectory);
    const store = await readStore(context);
    const { statements, damaged } = await readListed(store, publicKey);
    const names = tagNames(await store.readTags());
    const tagsOf = (id: Digest): string[] => names.get(id) ?? [];
    const rows = statements.map((snapshot) => [
      snapshot.id.slice(0, 12),
      snapshot.tree,
      snapshot.created.slice(0, 19).replace('T', ' '),
      bytes(contentBytes(snapshot)),
      bytes(snapshot.storedBytes),
      tagsOf(snapshot.id).join(' '),
    ]);
    for (const { id } of damaged) rows.push([id.slice(0, 12), 'damaged', '', '', '', tagsOf(id).join(' ')]);
    const headings = ['SNAPSHOT', 'TREE', 'CREATED (UTC)', 'SIZE', 'STORED', 'TAGS'];
    const all = [
      ...statements.map((snapshot) => ({ ...snapshot, tags: tagsOf(snapshot.id) })),
      ...damaged.map(({ id, error }) => ({ id, damaged: error.message, tags: tagsOf(id) })),
    ];
    context.output.result(all, rows.length === 0 ? 'no snapshots' : table(headings, rows));
    for (const { error } of damaged) context.output.step(error.message);
  });
}

/** By the snapshot that they stand for. */
function tagNames(tags: ReadonlyMap<string, Digest>): Map<Digest, string[]> {
  const names = new Map<Digest, string[]>();
  for (const [tag, id] of tags) names.set(id, [...(names.get(id) ?? []), tag]);
  return names;
}
