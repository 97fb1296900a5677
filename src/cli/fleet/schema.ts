import { join } from 'node:path';
import { Argument, type Command } from 'commander';
import { BladerootError } from '../../errors.ts';
import { FLEET_FILE } from '../../fleet/fleet-source.ts';
import {
  jsonSchema,
  schemaFiles,
  schemaPath,
  SCHEMA_KINDS,
  type SchemaKind,
} from '../../fleet/json-schema.ts';
import { exists } from '../../system/read-file.ts';
import { makeReadableDirectory, writeFileAtomic } from '../../system/write-file.ts';
import { contextOf, leaf, type Context } from '../command.ts';

export function schemaCommand(signal: AbortSignal): Command {
  return leaf('schema', 'the JSON Schema of the fleet folder, by which editors complete and check', [
    'bladeroot fleet schema                   # of fleet.yaml',
    'bladeroot fleet schema blade             # of blades/NAME.yaml',
    'bladeroot fleet schema --write           # all of them into the fleet folder, as init does',
  ])
    .addArgument(new Argument('[kind]', 'of which files').choices(SCHEMA_KINDS).default('fleet'))
    .option(
      '--write',
      'write schema/*.json into the fleet folder, to which the first line of fleet.yaml points',
    )
    .action(async (kind: SchemaKind, { write }: { write?: true }, command: Command) => {
      const context = contextOf(command, signal);
      if (write === true) return await writeSchemas(context);
      const schema = jsonSchema(kind);
      context.output.result(schema, JSON.stringify(schema, undefined, 2));
    });
}

async function writeSchemas({ fleetDirectory, output }: Context): Promise<void> {
  if (!(await exists(join(fleetDirectory, FLEET_FILE)))) {
    throw new BladerootError('FLEET_MISSING', `there is no ${FLEET_FILE} in ${fleetDirectory}`, {
      hint: 'name the fleet folder with --fleet DIR, or make one with "bladeroot init"',
    });
  }
  await makeReadableDirectory(join(fleetDirectory, 'schema'));
  const files = schemaFiles();
  for (const [path, text] of files) await writeFileAtomic(join(fleetDirectory, path), text);
  const lines = SCHEMA_KINDS.map(
    (kind) => `${schemaPath(kind)}: for ${kind === 'fleet' ? FLEET_FILE : `${kind}s/NAME.yaml`}`,
  );
  output.result([...files.keys()], lines.join('\n'));
}
