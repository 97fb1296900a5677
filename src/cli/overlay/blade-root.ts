/** A blade as its configuration would make it of a snapshot, for the commands that show that. */
import type { Command } from 'commander';
import { loadFleet } from '../../fleet/load.ts';
import { resolveBlade, resolveFleet } from '../../fleet/resolve.ts';
import type { ImageFiles } from '../../image/files.ts';
import { SnapshotFiles } from '../../image/snapshot-files.ts';
import { isSecret } from '../../overlay/entry.ts';
import type { LaidOver } from '../../overlay/laid-over.ts';
import { OverlayRenderer } from '../../overlay/render.ts';
import { findOrNewest } from '../../release/find-snapshot.ts';
import { readPublicKey } from '../../release/keys.ts';
import { leaf, type Context } from '../command.ts';
import { locked, readStore } from '../store.ts';

export interface SnapshotOption {
  /** An id, a tag or a tree's name; the newest one of all when left out. */
  snapshot?: string;
}

/** A command about a blade upon a snapshot. */
export function bladeLeaf(name: string, description: string, examples: string[]): Command {
  return leaf(name, description, examples)
    .argument('<blade>', 'the blade')
    .option('--snapshot <id|tree>', 'upon this snapshot (the newest one of all when left out)');
}

/** Does something with the image and with what it becomes for a blade, as publishing it now would make it. */
export async function withBladeRoot(
  context: Context,
  name: string,
  { snapshot }: SnapshotOption,
  work: (root: LaidOver, image: ImageFiles) => Promise<void>,
): Promise<void> {
  const { fleetDirectory: fleetDir, stateDirectory } = context;
  const fleet = await loadFleet(fleetDir);
  const blade = resolveBlade(fleet, name);
  const publicKey = await readPublicKey(stateDirectory);
  const store = await readStore(context);
  await locked(context, store, 'shared', async () => {
    const statement = await findOrNewest(store, snapshot, publicKey);
    const image = await SnapshotFiles.open(store, statement);
    const release = { snapshot: { id: statement.id, tree: statement.tree } };
    const renderer = new OverlayRenderer({ fleet, blades: resolveFleet(fleet), fleetDir, image, release });
    const root = await renderer.rootOf(blade);
    await work(root, image);
    if (blade.recipient === undefined && root.entries().some(isSecret)) {
      const later = `see \`bladeroot blade list --pending\`, then \`bladeroot blade approve ${name}\``;
      context.output.step(`${name} gets no secrets yet: nobody has accepted its identity; ${later}`);
    }
  });
}
