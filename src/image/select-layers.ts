import { LAYERS, type Layer } from '../store/pack-index.ts';
import { parentOf, type BytePath } from './byte-path.ts';
import type { ManifestEntry } from './manifest.ts';

/**
 * The entries of some layers, and the directories that they lie in. Where the first name of a link group is of another
 * layer, the first of those that are left takes its place.
 */
export function selectLayers(
  entries: readonly ManifestEntry[],
  layers: readonly Layer[],
): readonly ManifestEntry[] {
  if (LAYERS.every((layer) => layers.includes(layer))) return entries;
  const wanted = new Set<BytePath>(['']);
  for (const { path, layer } of entries) {
    if (!layers.includes(layer)) continue;
    for (let each = path; !wanted.has(each); each = parentOf(each)) wanted.add(each);
  }
  const all = new Map(entries.map((entry) => [entry.path, entry]));
  /** By the first name of a link group: the one that takes its place. */
  const first = new Map<BytePath, BytePath>();
  const selected: ManifestEntry[] = [];
  for (const entry of entries) {
    if (!wanted.has(entry.path)) continue;
    if (entry.type !== 'hardlink' || wanted.has(entry.target)) {
      selected.push(entry);
      continue;
    }
    const target = first.get(entry.target);
    const linked = all.get(entry.target);
    if (target !== undefined) {
      selected.push({ ...entry, target });
    } else if (linked !== undefined) {
      first.set(entry.target, entry.path);
      selected.push({ ...linked, path: entry.path, layer: entry.layer });
    }
  }
  return selected;
}
