/** Changes fleet.yaml as a person would: a line more, and every other byte as it was. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { Document, isMap, isScalar, parseDocument, type YAMLMap } from 'yaml';

export interface NewBlade {
  mac: string;
  address: string;
  /** One is written as a word, several as a list. */
  profile?: string[] | undefined;
}

/** The text with one blade more, after the last one. The text is that of a fleet without faults. */
export function addBlade(text: string, name: string, blade: NewBlade): string {
  const value = valueOf(blade);
  const wanted = withBlade(dataOf(text), name, value);
  const line = insertLine(text, name, value);
  if (line !== undefined && isDeepStrictEqual(dataOf(line), wanted)) return line;
  return rewrite(text, name, value);
}

/** What stands in `blades/NAME.yaml`. */
export function bladeFile(blade: NewBlade): string {
  const document = new Document(valueOf(blade), { version: '1.2' });
  if (isMap(document.contents)) quoteMac(document.contents);
  return document.toString({ lineWidth: 0 });
}

/** Whether fleet.yaml itself has any blades. */
export function hasBlades(text: string): boolean {
  return (bladesOf(parse(text))?.items.length ?? 0) > 0;
}

function valueOf({ mac, address, profile = [] }: NewBlade): object {
  return {
    mac,
    address,
    ...(profile.length === 0 ? {} : { profile: profile.length === 1 ? profile[0] : profile }),
  };
}

/** A line below the last blade, or below the word `blades:` with nothing behind it; undefined where it has to go elsewhere. */
function insertLine(text: string, name: string, value: object): string | undefined {
  const place = placeBelow(text);
  if (place === undefined) return undefined;
  const contentEnd = text.slice(0, place.end).trimEnd().length;
  // A comment behind what stands there stays behind it.
  const newline = text.indexOf('\n', contentEnd);
  const before = newline < 0 ? text : text.slice(0, newline);
  const eol = before.endsWith('\r') || (newline < 0 && text.includes('\r\n')) ? '\r' : '';
  const entry = `${place.indent}${flowLine(name, value)}${eol}`;
  return newline < 0 ? `${before}${eol}\n${entry}\n` : `${before}\n${entry}${text.slice(newline)}`;
}

/** Where what stands above the new line ends, and what stands before the names of blades. */
function placeBelow(text: string): { end: number; indent: string } | undefined {
  const document = parse(text);
  const top = isMap(document.contents) ? document.contents : undefined;
  const pair = top?.items.find(({ key }) => isScalar(key) && key.value === 'blades');
  if (isScalar(pair?.value) && pair.value.value === null) {
    const end = rangeEnd(pair.key);
    return end === undefined ? undefined : { end, indent: '  ' };
  }
  const blades = bladesOf(document);
  const [first, last] = [blades?.items[0], blades?.items.at(-1)];
  if (blades?.flow === true || !isScalar(first?.key)) return undefined;
  const start = first.key.range?.[0];
  const end = rangeEnd(last?.value) ?? rangeEnd(last?.key);
  if (start === undefined || end === undefined) return undefined;
  const indent = text.slice(text.lastIndexOf('\n', start - 1) + 1, start);
  return indent.trim() === '' ? { end, indent } : undefined;
}

function flowLine(name: string, value: object): string {
  const made = new Document({ [name]: value }, { version: '1.2' });
  const map = made.get(name, true);
  if (isMap(map)) {
    map.flow = true;
    quoteMac(map);
  }
  return made.toString({ lineWidth: 0 }).trimEnd();
}

/** Base 60 of YAML 1.1 would make numbers of some MAC addresses: every reader gets a string. */
function quoteMac(map: YAMLMap): void {
  const mac = map.get('mac', true);
  if (isScalar(mac)) mac.type = 'QUOTE_DOUBLE';
}

/** Where there is no map with lines yet: comments and order are kept, spaces may not be. */
function rewrite(text: string, name: string, value: object): string {
  const document = parse(text);
  const entry = parse(flowLine(name, value)).get(name, true);
  const blades = bladesOf(document);
  if (blades === undefined) document.set('blades', document.createNode({}));
  const map = bladesOf(document);
  if (map?.items.length === 0) map.flow = false;
  map?.set(name, entry);
  return document.toString({ lineWidth: 0 });
}

function bladesOf(document: Document): YAMLMap | undefined {
  const blades = document.get('blades', true);
  return isMap(blades) ? blades : undefined;
}

function rangeEnd(node: unknown): number | undefined {
  if (typeof node !== 'object' || node === null || !('range' in node) || !Array.isArray(node.range))
    return undefined;
  const end: unknown = node.range[1];
  return typeof end === 'number' ? end : undefined;
}

function withBlade(data: unknown, name: string, value: object): unknown {
  const fleet = typeof data === 'object' && data !== null ? data : {};
  const blades: unknown = Reflect.get(fleet, 'blades');
  return { ...fleet, blades: { ...(typeof blades === 'object' ? blades : {}), [name]: value } };
}

function dataOf(text: string): unknown {
  return parse(text).toJS({ maxAliasCount: -1 });
}

function parse(text: string): Document {
  return parseDocument(text, { stringKeys: true });
}
