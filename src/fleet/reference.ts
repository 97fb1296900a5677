/** The reference of all fields for docs/fleet.md, out of the schema. Pure. */
import type { z } from 'zod';
import { jsonSchema, type SchemaKind } from './json-schema.ts';

/** Between these two lines of docs/fleet.md stands what is made here. */
export const BEGIN = '<!-- The reference: made by `npm run docs` out of src/fleet/schema.ts -->';
export const END = '<!-- End of the reference -->';

/** A document with its reference made anew. @throws Error when it has no place for it */
export function withReference(document: string): string {
  const [begin, end] = [document.indexOf(BEGIN), document.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`the document lacks the lines ${BEGIN} and ${END}`);
  return `${document.slice(0, begin)}${BEGIN}\n\n${reference()}\n${document.slice(end)}`;
}

type Schema = z.core.JSONSchema._JSONSchema;

interface Row {
  key: string;
  value: string;
  text: string;
}

function reference(): string {
  const settings = propertiesOf(jsonSchema('fleet'), 'defaults');
  const shared = new Set(Object.keys(settings));
  const own = (kind: SchemaKind): Row[] =>
    rowsOf(jsonSchema(kind)).filter(({ key }) => !shared.has(key.split('.')[0] ?? ''));
  const sections: [string, Row[]][] = [
    ['The fleet', own('fleet').filter(({ key }) => !/^(networks?|defaults)\./.test(key))],
    ['A network', rowsOf({ ...at(jsonSchema('fleet'), 'network') })],
    [
      'What `defaults`, a profile and a blade can all have',
      rowsOf({ ...at(jsonSchema('fleet'), 'defaults') }),
    ],
    ['What only a profile has', own('profile')],
    ['What only a blade has', own('blade')],
  ];
  return sections.map(([title, rows]) => `### ${title}\n\n${table(rows)}`).join('\n');
}

function at(schema: Schema, key: string): z.core.JSONSchema.JSONSchema {
  const field = typeof schema === 'boolean' ? undefined : schema.properties?.[key];
  return typeof field === 'object' ? field : {};
}

function propertiesOf(schema: Schema, key: string): Record<string, Schema> {
  return at(schema, key).properties ?? {};
}

/** One row for each field, those of a map within under their whole name, such as `boot.timeout`. */
function rowsOf(schema: Schema, above = ''): Row[] {
  if (typeof schema === 'boolean') return [];
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    if (typeof field === 'boolean') return [];
    const key = `${above}${name}`;
    const needed = schema.required?.includes(name) === true ? ' (needed)' : '';
    const within = [...rowsOf(field, `${key}.`), ...namedRows(field, `${key}.NAME.`)];
    const value = within.length > 0 ? 'map' : valueOf(field);
    return [{ key, value: `${value}${needed}`, text: field.description ?? '' }, ...within];
  });
}

/** Those of a map whose keys people choose, but for what has a section of its own. */
function namedRows({ additionalProperties: named }: Exclude<Schema, boolean>, above: string): Row[] {
  if (typeof named !== 'object' || OWN_SECTIONS.has(above)) return [];
  return rowsOf(named, above);
}

const OWN_SECTIONS = new Set(['networks.NAME.', 'profiles.NAME.', 'blades.NAME.']);

/** What may be written, in a few words. */
function valueOf(schema: Schema): string {
  if (typeof schema === 'boolean' || schema.$ref !== undefined) return 'anything';
  if (schema.enum !== undefined) return schema.enum.map((word) => `\`${String(word)}\``).join(', ');
  if (schema.const !== undefined) return `\`${String(schema.const)}\``;
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map(valueOf))].join(' or ');
  if (schema.type === 'array') return 'list';
  if (schema.type === 'object') return 'map';
  if (schema.type === 'integer' || schema.type === 'number') {
    const { minimum, maximum } = schema;
    const range = minimum === undefined || maximum === undefined ? '' : `, ${minimum} to ${maximum}`;
    return `number${range}`;
  }
  if (schema.type === 'string') return 'text';
  return typeof schema.type === 'string' ? schema.type : 'anything';
}

function table(rows: readonly Row[]): string {
  const cells = rows.map(({ key, value, text }) => `| \`${key}\` | ${escaped(value)} | ${escaped(text)} |\n`);
  return `| key | value | |\n| --- | --- | --- |\n${cells.join('')}`;
}

/** `{{ vars.role }}` would be a template for some readers of Markdown, and a bar another column. */
function escaped(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll(/\{\{.*?\}\}/g, (template) => `\`${template}\``);
}
