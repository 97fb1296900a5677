import type { Command } from 'commander';
import { toBytes, toText, type BytePath } from '../../image/byte-path.ts';
import { diffManifests, type Change, type Thing, type TreeDifference } from '../../image/diff.ts';
import { parseManifest } from '../../image/manifest.ts';
import { findSnapshot } from '../../release/find-snapshot.ts';
import { readPublicKey } from '../../release/keys.ts';
import { contextOf, leaf } from '../command.ts';
import { bytes } from '../output.ts';
import { locked, readStore } from '../store.ts';

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
          { from: from.id, to: to.id, ...asJson(difference) },
          asText(difference).join('\n'),
        );
      });
    });
}

function asText(difference: TreeDifference): string[] {
  const { added, removed, changed } = difference;
  const lines: [path: BytePath, line: string][] = [
    ...added.map((thing): [BytePath, string] => [thing.path, `added     ${describe(thing)}`]),
    ...removed.map((thing): [BytePath, string] => [thing.path, `removed   ${describe(thing)}`]),
    ...changed.map((change): [BytePath, string] => [change.after.path, describeChange(change)]),
  ];
  lines.sort(([a], [b]) => (a < b ? -1 : 1));
  const contents = changed.filter(isContent);
  const summary = [
    `${added.length} added (${bytes(sum(added))})`,
    `${removed.length} removed (${bytes(sum(removed))})`,
    `${contents.length} changed (${bytes(sum(contents.map(({ after }) => after)))})`,
    `${changed.length - contents.length} in metadata only`,
  ];
  return [...lines.map(([, line]) => line), summary.join(', ')];
}

function isContent({ aspects }: Change): boolean {
  return aspects.includes('content');
}

function sum(things: readonly Thing[]): number {
  return things.reduce((total, { size }) => total + size, 0);
}

function describe({ path, type, size }: Thing): string {
  return `${printable(path)} (${type === 'file' ? bytes(size) : type})`;
}

function describeChange(change: Change): string {
  const { before, after, aspects } = change;
  if (!isContent(change)) return `metadata  ${printable(after.path)} (${aspects.join(', ')})`;
  const facts = [sizes(before, after), ...aspects.filter((aspect) => aspect !== 'content')];
  return `changed   ${printable(after.path)} (${facts.join(', ')})`;
}

function sizes(before: Thing, after: Thing): string {
  const [old, now] = [before, after].map(({ type, size }) => (type === 'file' ? bytes(size) : type));
  return old === now ? `${now}` : `${old} → ${now}`;
}

/** A name may hold what a terminal takes for commands. */
function printable(path: BytePath): string {
  const text = toText(path);
  const isPlain = text !== undefined && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}"\\]/u.test(text) && text.trim() === text;
  return isPlain ? `/${text}` : JSON.stringify(`/${path}`).replace(/[^ -~]/gu, escapeCharacter);
}

function escapeCharacter(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

function asJson({ added, removed, changed }: TreeDifference): object {
  return {
    added: added.map(thingAsJson),
    removed: removed.map(thingAsJson),
    changed: changed.map(({ before, after, aspects }) => ({
      ...thingAsJson(after),
      before: { type: before.type, size: before.size },
      aspects,
    })),
  };
}

/** As in a manifest: bytes that are no text stand in base64. */
function thingAsJson({ path, type, size }: Thing): object {
  const text = toText(path);
  const name = text === undefined ? { path64: toBytes(path).toString('base64') } : { path: text };
  return { ...name, type, size };
}
