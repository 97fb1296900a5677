/** Where in a YAML text a change is written, and what is written there. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { isAlias, isMap, isNode, isScalar, isSeq, parseDocument, type Pair, type YAMLMap } from 'yaml';
import type { Path } from './source.ts';
import { flow } from './yaml-flow.ts';

/** What stands from `start` to before `end` is replaced. */
export interface Splice {
  start: number;
  end: number;
  replacement: string;
}

export interface Splices {
  splices: Splice[];
  /** Things at which no other change may write at the same time. */
  alone: unknown[];
}

/** Nothing to change, or no place to change it at: who looks at the result knows which. */
const NOTHING: Splices = { splices: [], alone: [] };

/**
 * The splices of one change of a document.
 * @param top the document's contents
 * @param changes how many changes are made at the same time
 */
export function spliceFor(
  text: string,
  top: unknown,
  { path, value }: { path: Path; value?: unknown },
  changes: number,
): Splices {
  if (value === undefined) return removal(text, top, path, changes);
  if (isMap(top) && top.items.length > 0) return setting(text, top, path, value);
  const [key, ...rest] = path;
  if (key === undefined || (top !== null && !isMap(top) && !isNull(top))) return NOTHING;
  // A file that says nothing yet, but for comments.
  const [start, end] = isMap(top) ? rangeOf(top) : [text.length, text.length];
  const newline = /(^|\n)$/.test(text.slice(0, start)) ? '' : eolOf(text);
  const entry = blockEntry(text, '', key, nested(rest, value));
  const replacement = newline + entry + (text.slice(end).startsWith('\n') ? '' : eolOf(text));
  return { splices: [{ start, end, replacement }], alone: ['top'] };
}

function setting(text: string, top: YAMLMap, path: Path, value: unknown): Splices {
  let map = top;
  for (const [depth, key] of path.entries()) {
    const pair = pairOf(map, key);
    const rest = path.slice(depth + 1);
    if (pair === undefined) {
      const made = insertion(text, map, { key, value: nested(rest, value), isTop: depth === 0 });
      // What is to be put below the same key finds it only afterwards.
      return rest.length === 0 ? made : { ...made, alone: [map] };
    }
    const node = pair.value;
    if (rest.length === 0) return replacement(text, map, pair, value);
    if (isMap(node) && node.items.length > 0) map = node;
    else if (!isMap(node) && !isNull(node)) return NOTHING;
    else return depth === 0 ? lineBelow(text, pair, rest, value) : replaced(text, pair, nested(rest, value));
  }
  return NOTHING;
}

/** One key more, behind the last one of the map. */
function insertion(
  text: string,
  map: YAMLMap,
  { key, value, isTop }: { key: string | number; value: unknown; isTop: boolean },
): Splices {
  const last = map.items.at(-1);
  const at = contentEnd(text, endOf(last));
  if (map.flow === true) {
    const replacement = `, ${flow(key)}: ${flow(value)}`;
    return { splices: [{ start: at, end: at, replacement }], alone: [] };
  }
  const indent = indentOf(text, map.items[0]);
  if (indent === undefined) return NOTHING;
  const entry = isTop ? blockEntry(text, indent, key, value) : `${indent}${flow(key)}: ${flow(value)}`;
  return { splices: [newLine(text, at, entry)], alone: [] };
}

/** The first line of a map that is empty: below its key, with comments where they are. */
function lineBelow(text: string, pair: Pair, [key = '', ...rest]: Path, value: unknown): Splices {
  const [start, end] = rangeOf(pair.value);
  const indent = indentOf(text, pair);
  if (indent === undefined) return NOTHING;
  const behind = text.slice(end, endOfLine(text, end));
  const from = behind.trim() === '' ? Math.max(contentEnd(text, start), endOf({ key: pair.key })) : start;
  const entry = `${indent}  ${flow(key)}: ${flow(nested(rest, value))}`;
  const line = newLine(text, Math.max(end, endOf({ key: pair.key })), entry);
  return { splices: [{ start: from, end: Math.max(from, end), replacement: '' }, line], alone: [pair] };
}

function replacement(text: string, map: YAMLMap, pair: Pair, value: unknown): Splices {
  const { value: node } = pair;
  if (isAlias(node) || (isNode(node) && isDeepStrictEqual(node.toJSON(), value))) return NOTHING;
  const [start, end] = rangeOf(node);
  const isBlock = isScalar(node)
    ? node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED'
    : (isMap(node) || isSeq(node)) && node.flow !== true;
  const hasComment = !isScalar(node) && text.slice(start, end).includes('#');
  return isBlock || hasComment ? rendered(text, map, pair, value) : replaced(text, pair, value);
}

function replaced(text: string, pair: Pair, value: unknown): Splices {
  const [start, end] = rangeOf(pair.value);
  const space = /\s$/.test(text.slice(0, start)) ? '' : ' ';
  return { splices: [{ start, end, replacement: space + flow(value) }], alone: [pair] };
}

/** A pair that goes over several lines is written anew, by itself; items of a list that stay keep their comments. */
function rendered(text: string, map: YAMLMap, pair: Pair, value: unknown): Splices {
  const indent = map.flow === true ? undefined : indentOf(text, pair);
  if (indent === undefined) return NOTHING;
  const [start] = rangeOf(pair.key);
  const end = endOfLine(text, contentEnd(text, endOf(pair)));
  const lines = text.slice(start, end).split(/\r?\n/);
  const own = parseDocument(
    lines.map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line)).join('\n'),
    { stringKeys: true },
  );
  const only = isMap(own.contents) ? own.contents.items[0] : undefined;
  if (only === undefined || own.errors.length > 0) return NOTHING;
  if (isSeq(only.value) && Array.isArray(value)) {
    const old = [...only.value.items];
    const items: unknown[] = only.value.items;
    const fresh = value.map((item: unknown) => {
      const found = old.findIndex((node) => isDeepStrictEqual(node.toJSON(), item));
      return found < 0 ? own.createNode(item) : old.splice(found, 1)[0];
    });
    items.splice(0, items.length, ...fresh);
  } else own.setIn([String(pair.key)], own.createNode(value));
  const step =
    lines.slice(1).map((line) => /^ *(?=[^ #])/.exec(line.slice(indent.length))?.[0].length)[0] ?? 2;
  const made = own.toString({
    lineWidth: 0,
    indent: step || 2,
    indentSeq: step > 0,
    flowCollectionPadding: false,
  });
  return {
    splices: [{ start, end, replacement: made.trimEnd().replaceAll('\n', eolOf(text) + indent) }],
    alone: [pair],
  };
}

function removal(text: string, top: unknown, path: Path, changes: number): Splices {
  let [map, owner]: [unknown, Pair | undefined] = [top, undefined];
  for (const key of path.slice(0, -1)) {
    owner = isMap(map) ? pairOf(map, key) : undefined;
    map = owner?.value;
  }
  const last = path.at(-1);
  const pair = isMap(map) && last !== undefined ? pairOf(map, last) : undefined;
  if (!isMap(map) || pair === undefined) return NOTHING;
  // Where others may take out the rest, each has to see what is left.
  const alone = map.flow === true || map.items.length <= changes ? [map] : [];
  if (map.flow === true) return { splices: [flowRemoval(text, map, pair)], alone };
  const indent = indentOf(text, pair);
  if (indent === undefined) return NOTHING;
  const [keyStart] = rangeOf(pair.key);
  const lineEnd = endOfLine(text, contentEnd(text, endOf(pair)));
  const lines = { start: keyStart - indent.length, end: endOfEol(text, lineEnd), replacement: '' };
  if (map.items.length > 1 || owner === undefined) return { splices: [lines], alone };
  const colon = text.indexOf(':', endOf({ key: owner.key })) + 1;
  return { splices: [{ start: colon, end: colon, replacement: ' {}' }, lines], alone };
}

function flowRemoval(text: string, map: YAMLMap, pair: Pair): Splice {
  const [mapStart, mapEnd] = rangeOf(map);
  if (map.items.length === 1) return { start: mapStart, end: mapEnd, replacement: '{}' };
  const [start] = rangeOf(pair.key);
  const end = endOf(pair);
  const comma = /^\s*,[ \t]*/.exec(text.slice(end))?.[0];
  if (pair !== map.items.at(-1) && comma !== undefined)
    return { start, end: end + comma.length, replacement: '' };
  return { start: text.slice(0, start).replace(/,\s*$/, '').length, end, replacement: '' };
}

/** A map gets lines of its own, the maps in it one line each. */
function blockEntry(text: string, indent: string, key: string | number, value: unknown): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || Object.keys(value).length === 0)
    return `${indent}${flow(key)}: ${flow(value)}`;
  const lines = Object.entries(value).map(([name, item]) => `${indent}  ${flow(name)}: ${flow(item)}`);
  return [`${indent}${flow(key)}:`, ...lines].join(eolOf(text));
}

/** A line below the one in which this offset is: a comment behind what stands there stays behind it. */
function newLine(text: string, at: number, line: string): Splice {
  const eol = eolOf(text);
  const end = endOfLine(text, at);
  return { start: end, end, replacement: end === text.length ? eol + line + eol : eol + line };
}

function nested(path: Path, value: unknown): unknown {
  return path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);
}

function pairOf(map: YAMLMap, key: string | number): Pair | undefined {
  return map.items.find((pair) => isScalar(pair.key) && pair.key.value === String(key));
}

function isNull(node: unknown): boolean {
  return node === null || (isScalar(node) && node.value === null);
}

/** Where a node begins and where it ends; nothing has neither. */
function rangeOf(node: unknown): [start: number, end: number] {
  const range = isNode(node) ? node.range : undefined;
  return range === null || range === undefined ? [0, 0] : [range[0], range[1]];
}

function endOf(pair: { key: unknown; value?: unknown } | undefined): number {
  return Math.max(rangeOf(pair?.key)[1], rangeOf(pair?.value)[1]);
}

function contentEnd(text: string, end: number): number {
  return text.slice(0, end).trimEnd().length;
}

/** What stands before the key of a pair in its line; undefined when that is more than spaces. */
function indentOf(text: string, pair: Pair | undefined): string | undefined {
  const [start] = rangeOf(pair?.key);
  const indent = text.slice(text.lastIndexOf('\n', start - 1) + 1, start);
  return indent.trim() === '' ? indent : undefined;
}

function endOfLine(text: string, at: number): number {
  const newline = text.indexOf('\n', at);
  if (newline < 0) return text.length;
  return text[newline - 1] === '\r' ? newline - 1 : newline;
}

function endOfEol(text: string, lineEnd: number): number {
  return text.startsWith('\r\n', lineEnd) ? lineEnd + 2 : Math.min(lineEnd + 1, text.length);
}

function eolOf(text: string): string {
  return text.includes('\r\n') ? '\r\n' : '\n';
}
