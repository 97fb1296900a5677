import type { Command } from 'commander';
import { contentBytes, missingBytes, type SnapshotStatement } from '../../image/statement.ts';
import { findSnapshot } from '../../release/find-snapshot.ts';
import { readPublicKey } from '../../release/keys.ts';
import { ReleaseRepository } from '../../release/repository.ts';
import { releaseSnapshots } from '../../release/statement.ts';
import { contextOf, leaf } from '../command.ts';
import { bytes } from '../output.ts';
import { readStore } from '../store.ts';

export function showCommand(signal: AbortSignal): Command {
  return leaf('show', 'show one snapshot: its layers, its packs, and what needs it', [
    'bladeroot snapshot show debian',
    'bladeroot snapshot show 5f0c11d2 --json',
  ])
    .argument('<id>', "a snapshot's id or its beginning, a tag, or a tree's name")
    .action(async (id: string, _options, command: Command) => {
      const context = contextOf(command, signal);
      const publicKey = await readPublicKey(context.stateDirectory);
      const store = await readStore(context);
      const snapshot = await findSnapshot(store, id, publicKey);
      const all = await new ReleaseRepository(context.stateDirectory, publicKey).all();
      const releases = all.flatMap((release) =>
        releaseSnapshots(release).some(({ id }) => id === snapshot.id) ? [release.sequence] : [],
      );
      const tags = [...(await store.readTags())].flatMap(([tag, tagged]) =>
        tagged === snapshot.id ? [tag] : [],
      );
      context.output.result({ ...snapshot, tags, releases }, describe(snapshot, tags, releases));
    });
}

function describe(snapshot: SnapshotStatement, tags: string[], releases: number[]): string {
  const { manifest } = snapshot;
  const lines = [
    `snapshot  ${snapshot.id}`,
    `tree      ${snapshot.tree}`,
    `created   ${snapshot.created}`,
    `size      ${bytes(contentBytes(snapshot))}; ${bytes(snapshot.storedBytes)} for a blank blade`,
    `tags      ${tags.join(' ') || 'none'}`,
    `releases  ${releases.join(' ') || 'none'}`,
    `manifest  ${bytes(manifest.bytes)}, ${bytes(manifest.storedBytes)} stored`,
    ...manifest.deltas.map(({ base, bytes: size }) => `  from    ${base.slice(0, 12)}: ${bytes(size)}`),
  ];
  for (const { name, entries, objects, bytes: size, ways } of snapshot.layers) {
    lines.push(`layer     ${name}: ${entries} entries, ${objects} objects, ${bytes(size)}`);
    for (const [i, way] of ways.entries()) {
      const count = `${way.length} ${way.length === 1 ? 'pack' : 'packs'}`;
      lines.push(`  way ${i + 1}   ${count}, ${bytes(missingBytes(way))}`);
      for (const pack of way) lines.push(`    pack  ${pack.id} (${bytes(pack.bytes)})`);
    }
  }
  return lines.join('\n');
}
