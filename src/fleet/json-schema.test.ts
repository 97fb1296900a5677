import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { exampleFleet } from './example.ts';
import { jsonSchema, SCHEMA_KINDS, schemaFiles, type SchemaKind } from './json-schema.ts';
import { bladeSchema, fleetSchema, profileSchema } from './schema.ts';

// Each format stands beside a pattern that says the same.
const ajv = new Ajv2020({ strict: true, allErrors: true, validateFormats: false });
const editors = {
  fleet: ajv.compile(jsonSchema('fleet')),
  profile: ajv.compile(jsonSchema('profile')),
  blade: ajv.compile(jsonSchema('blade')),
};
const schemas = { fleet: fleetSchema, profile: profileSchema, blade: bladeSchema };

/** Whether an editor, and the program, take this YAML for what may stand in such a file. */
function taken(kind: SchemaKind, yaml: string): [editor: boolean, program: boolean] {
  const data: unknown = parse(yaml);
  return [editors[kind](data), schemas[kind].safeParse(data).success];
}

test('editors and the program agree about what is right', () => {
  const head = 'name: lab\nnetwork: { subnet: 10.77.0.0/24 }\n';
  const right: [SchemaKind, string][] = [
    ['fleet', head],
    ['fleet', exampleFleet('lab', '10.77.0.0/24').get('fleet.yaml') ?? ''],
    ['fleet', `${head}profiles: { web: { extends: [a, b] }, mail: { extends: a } }\n`],
    ['profile', '{ overlays: [-*, +web, -base], services: { start: [+nginx.service, -getty@tty1] } }'],
    ['profile', 'vars: { a: [1, { b: null }], c: { d: true } }\nkernelArgs: ["+-x", quiet]\n'],
    ['blade', 'mac: 52-54-00-AA-00-11\naddress: 10.77.0.11\nprofile: web\ndisks: { slot: 3GiB }\n'],
  ];
  for (const [kind, yaml] of right) assert.deepEqual(taken(kind, yaml), [true, true], yaml);
  const wrong: [SchemaKind, string][] = [
    ['fleet', 'name: lab\n'],
    ['fleet', `${head}colour: red\n`],
    ['fleet', 'name: The Lab\nnetwork: { subnet: 10.77.0.0/24 }\n'],
    ['fleet', 'name: lab\nnetwork: { subnet: 10.77.0.0 }\n'],
    ['fleet', `${head}blades: { Web_1: { address: 10.77.0.11 } }\n`],
    ['profile', 'overlays: web\n'],
    ['profile', 'overlays: [--web]\n'],
    ['profile', 'services: { start: ["a b"] }\n'],
    ['profile', 'boot: { timeout: 4000 }\n'],
    ['profile', 'address: 10.77.0.11\n'],
    ['blade', 'mac: 52-54-00-AA-00\naddress: 10.77.0.11\n'],
    ['blade', 'mac: 52-54-00-AA-00-11\n'],
  ];
  for (const [kind, yaml] of wrong) assert.deepEqual(taken(kind, yaml), [false, false], yaml);
});

test('there is a file for each kind', () => {
  const files = schemaFiles();
  assert.deepEqual(
    [...files.keys()],
    SCHEMA_KINDS.map((kind) => `schema/${kind}.json`),
  );
  for (const text of files.values()) assert.match(text, /^\{\n {2}"title": "[a-zA-Z/]+\.yaml of bladeroot"/);
});
