/** The schema for editors: one file for each kind of YAML file in a fleet folder. Pure. */
import { z } from 'zod';
import { bladeSchema, fleetSchema, profileSchema } from './schema.ts';

export const SCHEMA_KINDS = ['fleet', 'profile', 'blade'] as const;
export type SchemaKind = (typeof SCHEMA_KINDS)[number];

const SOURCES = {
  fleet: { schema: fleetSchema, title: 'fleet.yaml of bladeroot' },
  profile: { schema: profileSchema, title: 'profiles/NAME.yaml of bladeroot' },
  blade: { schema: bladeSchema, title: 'blades/NAME.yaml of bladeroot' },
} as const;

/** What a person writes, as JSON Schema (2020-12). */
export function jsonSchema(kind: SchemaKind): z.core.JSONSchema._JSONSchema & object {
  const { schema, title } = SOURCES[kind];
  return { title, ...z.toJSONSchema(schema, { io: 'input' }) };
}

/** The schemas as files of a fleet folder, by their path. */
export function schemaFiles(): Map<string, string> {
  return new Map(
    SCHEMA_KINDS.map((kind) => [schemaPath(kind), `${JSON.stringify(jsonSchema(kind), undefined, 2)}\n`]),
  );
}

/** Where the schema for a kind of file is in a fleet folder. */
export function schemaPath(kind: SchemaKind): string {
  return `schema/${kind}.json`;
}
