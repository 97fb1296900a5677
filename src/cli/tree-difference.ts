/** What differs between two trees, for people and as JSON. */
import { toBytes, toText, type BytePath } from '../image/byte-path.ts';
import type { Change, Thing, TreeDifference } from '../image/diff.ts';
import { bytes } from './output.ts';

/** A line for each thing, in the order of the paths. */
export function linesOf({ added, removed, changed }: TreeDifference): string[] {
  const lines: [path: BytePath, line: string][] = [
    ...added.map((thing): [BytePath, string] => [thing.path, `added     ${describe(thing)}`]),
    ...removed.map((thing): [BytePath, string] => [thing.path, `removed   ${describe(thing)}`]),
    ...changed.map((change): [BytePath, string] => [change.after.path, describeChange(change)]),
  ];
  lines.sort(([a], [b]) => (a < b ? -1 : 1));
  return lines.map(([, line]) => line);
}

/** On one line. */
export function summaryOf({ added, removed, changed }: TreeDifference): string {
  const contents = changed.filter(isContent);
  return [
    `${added.length} added (${bytes(sum(added))})`,
    `${removed.length} removed (${bytes(sum(removed))})`,
    `${contents.length} changed (${bytes(sum(contents.map(({ after }) => after)))})`,
    `${changed.length - contents.length} in metadata only`,
  ].join(', ');
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

export function differenceAsJson({ added, removed, changed }: TreeDifference): object {
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
