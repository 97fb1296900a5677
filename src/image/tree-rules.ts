/** The patterns that hold for a tree: by what distribution it is, what it says itself, and what the caller adds. */
import { join } from 'node:path';
import { exists, readIfThere } from '../system/read-file.ts';
import {
  DISTRIBUTIONS,
  EXCLUDE_FILE,
  EXTRA_FILE,
  layerRules,
  type Distribution,
  type LayerPatterns,
  type LayerRules,
} from './layers.ts';

const NONE: LayerPatterns = { extra: [], exclude: [] };

export async function readTreeRules(directory: string, added: LayerPatterns = NONE): Promise<LayerRules> {
  const distributions: Distribution[] = [];
  for (const name of ['gentoo', 'debian'] as const) {
    if (await exists(join(directory, DISTRIBUTIONS[name]))) distributions.push(name);
  }
  return layerRules(distributions, {
    extra: [...(await linesOf(join(directory, EXTRA_FILE))), ...added.extra],
    exclude: [...(await linesOf(join(directory, EXCLUDE_FILE))), ...added.exclude],
  });
}

async function linesOf(path: string): Promise<string[]> {
  return (await readIfThere(path))?.split('\n') ?? [];
}
