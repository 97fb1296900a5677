/**
 * The fields of a blade and of a profile, by the names that options, CSV and differences have for them: `mac`,
 * `boot.timeout`, `vars.rack`. They are read out of the schema. Pure.
 */
import { isDeepStrictEqual } from 'node:util';
import { parse } from 'yaml';
import { z } from 'zod';
import { BladerootError } from '../errors.ts';
import { didYouMean, nameList } from './nearest.ts';
import { fleetSchema } from './schema.ts';

export const NOUNS = ['blade', 'profile'] as const;
export type Noun = (typeof NOUNS)[number];

/** How a field's value is written on a command line: `map` is one of `NAME=VALUE` each, `value` any YAML. */
export type FieldKind = 'text' | 'number' | 'boolean' | 'list' | 'one-or-more' | 'map' | 'value';

export interface Field {
  /** Such as `boot.timeout`. */
  name: string;
  /** From the blade or profile down. */
  path: readonly string[];
  kind: FieldKind;
  description: string;
}

/** All fields, in the order of the schema. */
export function fieldsOf(noun: Noun): readonly Field[] {
  return FIELDS[noun];
}

/** What a blade or profile says of itself, by the fields' names; each variable is a field of its own. */
export function leavesOf(noun: Noun, entry: unknown): Map<string, unknown> {
  const leaves = new Map<string, unknown>();
  for (const { name, path, kind } of fieldsOf(noun)) {
    const value = path.reduce<unknown>(valueIn, entry);
    if (value === undefined) continue;
    if (kind !== 'map' || typeof value !== 'object' || value === null) leaves.set(name, value);
    else for (const [key, item] of Object.entries(value)) leaves.set(`${name}.${key}`, item);
  }
  return leaves;
}

/** What a blade or profile says when it says these values; of each, the keys from the blade or profile down. */
export function entryOf(values: Iterable<{ path: readonly string[]; value: unknown }>): object {
  const entry = {};
  for (const { path, value } of values) put(entry, path, value);
  return entry;
}

/** A variable may be called as what every object has, such as `constructor`. */
function put(map: object, [key = '', ...rest]: readonly string[], value: unknown): void {
  const old = valueIn(map, key);
  const below = typeof old === 'object' && old !== null ? old : {};
  if (rest.length > 0) put(below, rest, value);
  const whole = rest.length > 0 ? below : value;
  Object.defineProperty(map, key, { value: whole, enumerable: true, configurable: true, writable: true });
}

/** A field as it is named, `vars.rack` as one of the field `vars`. */
export interface NamedField {
  field: Field;
  path: readonly string[];
}

/** @throws BladerootError `UNKNOWN_FIELD` */
export function fieldNamed(noun: Noun, name: string): NamedField {
  const fields = fieldsOf(noun);
  const field = fields.find((one) => one.name === name);
  if (field !== undefined) return { field, path: field.path };
  const map = fields.find((one) => one.kind === 'map' && name.startsWith(`${one.name}.`));
  if (map !== undefined) return { field: map, path: [...map.path, name.slice(map.name.length + 1)] };
  const known = fields.map((one) => one.name);
  throw new BladerootError('UNKNOWN_FIELD', `a ${noun} has no field ${name}${didYouMean(name, known)}`, {
    hint: `fields: ${nameList(known, 40)}`,
  });
}

/**
 * The value that words mean. Several are a list; one that begins with `[` is a whole list as YAML has it. What is no right
 * value stays text: the schema says what would be one.
 * @param text what stands in a cell, or is given to an option again and again
 * @throws BladerootError `BAD_VALUE`
 */
export function parseValue({ field, path }: NamedField, texts: readonly string[]): unknown {
  const isVariable = path.length > field.path.length;
  const text = texts.at(-1) ?? '';
  switch (isVariable ? 'value' : field.kind) {
    case 'text':
      return text;
    case 'number':
      return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
    case 'boolean':
      return text === 'true' || (text === 'false' ? false : text);
    case 'list':
      return texts.flatMap((one) => listOf(path, one));
    case 'one-or-more':
      return texts.length === 1 && !text.startsWith('[') ? text : texts.flatMap((one) => listOf(path, one));
    default:
      return parseYaml(path, text);
  }
}

function listOf(path: readonly string[], text: string): unknown[] {
  if (text === '') return [];
  if (!text.startsWith('[')) return [text];
  const list = parseYaml(path, text);
  return Array.isArray(list) ? list : [text];
}

function parseYaml(path: readonly string[], text: string): unknown {
  try {
    return parse(text, { logLevel: 'error' });
  } catch (error) {
    throw new BladerootError('BAD_VALUE', `${path.join('.')}: ${JSON.stringify(text)} is not YAML`, {
      hint: 'put text that is more than a word into quotes, such as \'"a: b"\'',
      cause: error,
    });
  }
}

/** A value as a cell, from which `parseValue` reads the same value; never empty. */
export function formatValue({ field, path }: NamedField, value: unknown): string {
  const plain = Array.isArray(value) && value.length === 1 ? value[0] : value;
  const simple = typeof plain === 'object' || plain === '' ? undefined : String(plain);
  return simple !== undefined && isRead({ field, path }, simple, value) ? simple : JSON.stringify(value);
}

function isRead(named: NamedField, text: string, value: unknown): boolean {
  try {
    return isDeepStrictEqual(parseValue(named, [text]), value);
  } catch {
    // Not YAML: it needs quotes.
    return false;
  }
}

function valueIn(data: unknown, key: string): unknown {
  return typeof data === 'object' && data !== null && Object.hasOwn(data, key)
    ? Reflect.get(data, key)
    : undefined;
}

/** As much of JSON Schema as tells what a field is. */
const nodeSchema = z.object({
  type: z.string().optional(),
  description: z.string().optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  additionalProperties: z.unknown().optional(),
  anyOf: z.array(z.unknown()).optional(),
});

const FIELDS: Readonly<Record<Noun, readonly Field[]>> = readFields();

function readFields(): Record<Noun, readonly Field[]> {
  const { properties = {} } = nodeSchema.parse(z.toJSONSchema(fleetSchema, { io: 'input' }));
  const entries = (field: string): Field[] =>
    fieldsIn(nodeSchema.parse(properties[field]).additionalProperties, []);
  return { blade: entries('blades'), profile: entries('profiles') };
}

function fieldsIn(schema: unknown, path: readonly string[]): Field[] {
  const { properties = {} } = nodeSchema.parse(schema);
  return Object.entries(properties).flatMap(([key, child]) => {
    const node = nodeSchema.parse(child);
    const below = [...path, key];
    if (node.properties !== undefined) return fieldsIn(child, below);
    return [{ name: below.join('.'), path: below, kind: kindOf(node), description: node.description ?? '' }];
  });
}

function kindOf({ type, anyOf = [] }: z.infer<typeof nodeSchema>): FieldKind {
  const types = anyOf.map((one) => nodeSchema.parse(one).type);
  if (types.length === 2 && types.includes('string') && types.includes('array')) return 'one-or-more';
  const kinds: Readonly<Record<string, FieldKind>> = {
    string: 'text',
    number: 'number',
    integer: 'number',
    boolean: 'boolean',
    array: 'list',
    object: 'map',
  };
  return kinds[type ?? ''] ?? 'value';
}
