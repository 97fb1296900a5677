import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { withReference } from './reference.ts';
import { fleetSchema } from './schema.ts';

const DOCUMENT = new URL('../../docs/fleet.md', import.meta.url);

test('docs/fleet.md has all fields of the schema: `npm run docs` writes them', async () => {
  const text = await readFile(DOCUMENT, 'utf8');
  assert.equal(text, withReference(text));
  for (const field of [
    ...Object.keys(fleetSchema.shape),
    'services.start',
    'boot.timeout',
    'pool.from',
    'extends',
    'serial',
  ]) {
    assert.ok(text.includes(`| \`${field}\` |`), field);
  }
});

test('a document without a place for the reference is not touched', () => {
  assert.throws(() => withReference('# The fleet\n'), /lacks the lines/);
});
