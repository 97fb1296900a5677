/** Writes what is made out of the sources into docs/: `npm run docs`. */
import { readFile, writeFile } from 'node:fs/promises';
import { withReference } from '../src/fleet/reference.ts';

const FLEET = new URL('../docs/fleet.md', import.meta.url);

await writeFile(FLEET, withReference(await readFile(FLEET, 'utf8')));
