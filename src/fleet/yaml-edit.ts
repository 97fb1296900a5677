/**
 * Changes YAML as a person would: just the words that have to be others, and every other byte as it was, comments and
 * order with them. Pure.
 */
import { isDeepStrictEqual } from 'node:util';
import { parseDocument, type Document, type ParsedNode } from 'yaml';
import { BladerootError } from '../errors.ts';
import type { Path } from './source.ts';
import { spliceFor, type Splice } from './yaml-splice.ts';

/** A value to be written, or, where there is none, to be taken out. */
export interface Change {
  path: Path;
  value?: unknown;
}

/**
 * The text with all changes, one after the other.
 * @param text YAML without errors
 * @param keep what a change leaves empty is taken out with it, but for what is at the end of so many keys: with 2, a `boot`
 * without a `timeout` goes, and `blades.web01` stays as `{}`
 * @throws BladerootError `EDIT_BY_HAND` where something is written with anchors, so that it cannot be changed alone
 */
export function editYaml(text: string, changes: readonly Change[], keep: number): string {
  const before = dataOf(parse(text));
  const wanted = changes.reduce(
    (data, change) => withValue(data, prunedPath(data, change, keep), change.value),
    before,
  );
  let edited = text;
  for (let waiting = changes; waiting.length > 0;) {
    const round = editRound(edited, waiting, keep);
    edited = round.text;
    waiting = round.waiting;
  }
  if (says(edited, wanted)) return edited;
  const rewritten = rewrite(text, changes, keep);
  if (rewritten !== undefined && says(rewritten, wanted)) return rewritten;
  throw new BladerootError('EDIT_BY_HAND', `${changes[0]?.path.join('.')} cannot be changed alone`, {
    hint: 'something there is written with an anchor or an alias (& or *): change the file by hand',
  });
}

/** All that can be written at the same time; changes of which each needs to see what another has written wait. */
function editRound(
  text: string,
  changes: readonly Change[],
  keep: number,
): { text: string; waiting: Change[] } {
  const document = parse(text);
  const data = dataOf(document);
  const accepted: Splice[] = [];
  const taken = new Set<unknown>();
  const waiting: Change[] = [];
  for (const change of changes) {
    const path = prunedPath(data, change, keep);
    const wanted = { path, value: change.value };
    const { splices, alone } = spliceFor(text, document.contents, wanted, changes.length);
    if (alone.some((place) => taken.has(place))) waiting.push(change);
    else accepted.push(...splices);
    for (const place of alone) taken.add(place);
  }
  return { text: spliced(text, accepted), waiting };
}

function spliced(text: string, splices: readonly Splice[]): string {
  let [done, rest] = ['', 0];
  for (const { start, end, replacement } of splices.toSorted((a, b) => a.start - b.start)) {
    // What overlaps all the same comes out wrong, which is noticed.
    done += text.slice(rest, Math.max(rest, start)) + replacement;
    rest = Math.max(rest, end);
  }
  return done + text.slice(rest);
}

function says(text: string, data: unknown): boolean {
  const document = parse(text);
  return document.errors.length === 0 && isDeepStrictEqual(dataOf(document), data);
}

/** Comments and order are kept, spaces may not be. */
function rewrite(text: string, changes: readonly Change[], keep: number): string | undefined {
  const document: Document = parse(text);
  for (const change of changes) {
    const path = prunedPath(dataOf(document), change, keep);
    // The library throws where something on the way is no map, as behind an alias.
    try {
      if (change.value === undefined) document.deleteIn(path);
      else document.setIn(path, document.createNode(change.value));
    } catch {
      return undefined;
    }
  }
  return document.toString({ lineWidth: 0 });
}

/** Of what is taken out, the path of all that would be empty without it. */
function prunedPath(data: unknown, { path, value }: Change, keep: number): Path {
  let pruned = path;
  if (value !== undefined) return path;
  while (pruned.length - 1 > keep) {
    const parent = pruned.slice(0, -1);
    const map = parent.reduce(valueIn, data);
    if (!isMap(map) || Object.keys(map).some((key) => key !== String(pruned.at(-1)))) break;
    pruned = parent;
  }
  return pruned;
}

function withValue(data: unknown, path: Path, value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  const old = valueIn(data, key);
  const map = isMap(data) ? data : {};
  if (value !== undefined) return { ...map, [key]: withValue(old, rest, value) };
  if (old === undefined) return data;
  if (rest.length > 0) return { ...map, [key]: withValue(old, rest, undefined) };
  return Object.fromEntries(Object.entries(map).filter(([name]) => name !== String(key)));
}

function valueIn(data: unknown, key: string | number): unknown {
  return isMap(data) && Object.hasOwn(data, key) ? Reflect.get(data, key) : undefined;
}

function isMap(data: unknown): data is object {
  return typeof data === 'object' && data !== null && !Array.isArray(data);
}

/** A file that says nothing is a map without keys. */
function dataOf(document: Document): unknown {
  return document.toJS({ maxAliasCount: -1 }) ?? {};
}

function parse(text: string): Document.Parsed<ParsedNode> {
  return parseDocument(text, { stringKeys: true });
}
