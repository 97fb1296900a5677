import type { Command } from 'commander';
import { BladerootError } from '../../errors.ts';
import { findSnapshot } from '../../release/find-snapshot.ts';
import { readPublicKey } from '../../release/keys.ts';
import { isDigest } from '../../store/digest.ts';
import { tagPath } from '../../store/layout.ts';
import { contextOf, leaf, type Context } from '../command.ts';
import { table } from '../output.ts';
import { openStore, readStore } from '../store.ts';

export function tagCommand(signal: AbortSignal): Command {
  return leaf('tag', 'give a snapshot a name, or list the names', [
    'bladeroot snapshot tag                      # lists them',
    'bladeroot snapshot tag stable 5f0c11d2      # taken from the one that has it',
    'bladeroot snapshot tag --remove stable',
  ])
    .argument('[name]', 'up to 100 letters, digits and . _ + -')
    .argument('[id]', "a snapshot's id or its beginning, a tag, or a tree's name")
    .option('--remove <name>', 'take a name away; the snapshot stays')
    .action(
      async (
        name: string | undefined,
        id: string | undefined,
        { remove }: { remove?: string },
        command: Command,
      ) => {
        const context = contextOf(command, signal);
        if (remove !== undefined && name === undefined) await removeTag(context, remove);
        else if (remove === undefined && name === undefined) await listTags(context);
        else if (remove === undefined && name !== undefined && id !== undefined)
          await setTag(context, name, id);
        else command.error('error: give NAME and ID, or --remove NAME, or nothing');
      },
    );
}

/** @throws BladerootError `BAD_TAG` */
export function requireTag(name: string): void {
  tagPath(name);
  if (!isDigest(name)) return;
  throw new BladerootError('BAD_TAG', `${name} cannot be a tag`, {
    hint: 'it looks like the id of a snapshot',
  });
}

async function setTag(context: Context, name: string, text: string): Promise<void> {
  requireTag(name);
  const publicKey = await readPublicKey(context.stateDirectory);
  const store = await openStore(context);
  const { id, tree } = await findSnapshot(store, text, publicKey);
  await store.putTag(name, id);
  context.output.result({ tag: name, id }, `${name} is snapshot ${id.slice(0, 12)} of ${tree}`);
}

async function removeTag(context: Context, name: string): Promise<void> {
  const store = await readStore(context);
  const id = (await store.readTags()).get(name);
  if (id === undefined) {
    throw new BladerootError('UNKNOWN_TAG', `there is no tag ${name}`, {
      hint: '`bladeroot snapshot tag` lists those that there are',
    });
  }
  await store.removeTag(name);
  context.output.result({ removed: name, id }, `${name} is no name of snapshot ${id.slice(0, 12)} any more`);
}

async function listTags(context: Context): Promise<void> {
  const tags = [...(await (await readStore(context)).readTags())].map(([tag, id]) => ({ tag, id }));
  const rows = tags.map(({ tag, id }) => [tag, id.slice(0, 12)]);
  context.output.result(tags, rows.length === 0 ? 'no tags' : table(['TAG', 'SNAPSHOT'], rows));
}
