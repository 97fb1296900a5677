/** Blades as a table (CSV) and as JSON, out of a fleet and into it. Pure. */
import { parse as parseCsv } from 'csv-parse/sync';
import { stringify as stringifyCsv } from 'csv-stringify/sync';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { BladerootError } from '../errors.ts';
import { entryAt } from './edit.ts';
import { entryOf, fieldNamed, fieldsOf, formatValue, leavesOf, parseValue } from './fields.ts';
import type { Change } from './yaml-edit.ts';

const NAME = 'name';

/** What a table or JSON says of a blade: a field without a value is one that the blade shall not have. */
export type WantedBlades = ReadonlyMap<string, ReadonlyMap<string, unknown>>;

/**
 * The blades with a column for each field that one of them has; a field that a blade does not have is an empty cell.
 * @param data what the YAML of the whole fleet says
 */
export function bladesAsCsv(data: unknown, names: readonly string[]): string {
  const rows = names.map((name) => ({ name, leaves: leavesOf('blade', entryAt(data, 'blades', name)) }));
  const used = new Set(rows.flatMap(({ leaves }) => [...leaves.keys()]));
  const columns = fieldsOf('blade').flatMap(({ name, kind }) =>
    kind === 'map'
      ? [...used].filter((field) => field.startsWith(`${name}.`)).sort()
      : used.has(name)
        ? [name]
        : [],
  );
  return stringifyCsv(
    rows.map(({ name, leaves }) => [
      name,
      ...columns.map((column) =>
        leaves.has(column) ? formatValue(fieldNamed('blade', column), leaves.get(column)) : '',
      ),
    ]),
    { header: true, columns: [NAME, ...columns] },
  );
}

/** The blades as they stand in YAML, by name. */
export function bladesAsJson(data: unknown, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, entryAt(data, 'blades', name)]));
}

/**
 * @param file for messages
 * @throws BladerootError `BAD_TABLE`, `UNKNOWN_FIELD`, `BAD_VALUE`
 */
export function bladesOfCsv(text: string, file: string): WantedBlades {
  const [header, ...rows] = records(text, file);
  const columns = header?.cells ?? [];
  if (!columns.includes(NAME)) {
    throw bad(file, 1, `has no column ${NAME}; write one with the names of the blades`);
  }
  const twice = columns.find((column, index) => columns.indexOf(column) !== index);
  if (twice !== undefined) throw bad(file, 1, `has the column ${twice} twice; take one out`);
  const fields = columns.map((column) => (column === NAME ? undefined : fieldNamed('blade', column)));
  const wanted = new Map<string, Map<string, unknown>>();
  for (const { cells, line } of rows) {
    const name = cells[columns.indexOf(NAME)] ?? '';
    if (name === '') throw bad(file, line, 'has no name');
    if (wanted.has(name)) throw bad(file, line, `names ${name} a second time; take one out`);
    wanted.set(
      name,
      new Map(
        fields.flatMap((field, index): [string, unknown][] => {
          const cell = cells[index] ?? '';
          if (field === undefined) return [];
          return [[field.path.join('.'), cell === '' ? undefined : parseValue(field, [cell])]];
        }),
      ),
    );
  }
  return wanted;
}

/**
 * Each blade that JSON has is what JSON says, and has no other field.
 * @param data what the YAML of the whole fleet says now
 * @throws BladerootError `BAD_TABLE`, `UNKNOWN_FIELD`
 */
export function bladesOfJson(text: string, file: string, data: unknown): WantedBlades {
  const blades = parseJson(text, file);
  return new Map(
    Object.entries(blades).map(([name, blade]: [string, unknown]) => {
      if (!isMap(blade)) throw bad(file, undefined, `${name} is no object of fields`);
      requireFields(blade, []);
      const fresh = leavesOf('blade', blade);
      const old = leavesOf('blade', entryAt(data, 'blades', name));
      return [name, new Map([...old.keys(), ...fresh.keys()].map((field) => [field, fresh.get(field)]))];
    }),
  );
}

/** The changes that make the blades of a fleet what is wanted of them; of blades that are not named, nothing is. */
export function changesTo(data: unknown, wanted: WantedBlades): Change[] {
  return [...wanted].flatMap(([name, fields]): Change[] => {
    const entry = entryAt(data, 'blades', name);
    if (entry === undefined) return [{ path: ['blades', name], value: bladeOf(fields) }];
    const now = leavesOf('blade', entry);
    return [...fields].flatMap(([field, value]) =>
      isDeepStrictEqual(now.get(field), value)
        ? []
        : [{ path: ['blades', name, ...fieldNamed('blade', field).path], value }],
    );
  });
}

/** A blade of its fields, in the order of the schema. */
function bladeOf(fields: ReadonlyMap<string, unknown>): object {
  const order = fieldsOf('blade');
  const known = [...fields].filter(([, value]) => value !== undefined);
  const named = known.map(([name, value]) => ({ ...fieldNamed('blade', name), value }));
  return entryOf(named.sort((a, b) => order.indexOf(a.field) - order.indexOf(b.field)));
}

interface Row {
  cells: string[];
  line: number;
}

const recordsSchema = z.array(
  z.object({ record: z.array(z.string()), info: z.object({ lines: z.number() }) }),
);

function records(text: string, file: string): Row[] {
  const [first = ''] = text.split('\n', 1);
  // What spreadsheets of countries with a decimal comma write.
  const delimiter = !first.includes(',') && first.includes(';') ? ';' : ',';
  try {
    const found: unknown = parseCsv(text, {
      bom: true,
      delimiter,
      info: true,
      skipEmptyLines: true,
    });
    return recordsSchema.parse(found).map(({ record, info }) => ({ cells: record, line: info.lines }));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new BladerootError('BAD_TABLE', `${file} is no table: ${error.message}`, { cause: error });
  }
}

function parseJson(text: string, file: string): object {
  try {
    const data: unknown = JSON.parse(text);
    if (isMap(data)) return data;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new BladerootError('BAD_TABLE', `${file} is not JSON: ${error.message}`, { cause: error });
  }
  throw bad(
    file,
    undefined,
    'is not what `bladeroot blade export --json` prints: an object of blades by name',
  );
}

/** @throws BladerootError `UNKNOWN_FIELD` for what no field is, however deep */
function requireFields(map: object, above: readonly string[]): void {
  for (const [key, value] of Object.entries(map)) {
    const path = [...above, key];
    if (fieldsOf('blade').some((field) => field.name === path.join('.'))) continue;
    const isPart = fieldsOf('blade').some((field) => field.name.startsWith(`${path.join('.')}.`));
    if (isPart && isMap(value)) requireFields(value, path);
    else fieldNamed('blade', path.join('.'));
  }
}

function isMap(data: unknown): data is object {
  return typeof data === 'object' && data !== null && !Array.isArray(data);
}

function bad(file: string, line: number | undefined, why: string): BladerootError {
  return new BladerootError('BAD_TABLE', `${file}${line === undefined ? '' : `:${line}`}: ${why}`);
}
