/** What a fleet has and nobody needs: no faults, but most often the traces of a slip. Pure. */
import { editedLists, type Fault } from './check.ts';
import { addedBy, editOf, layList, TAKE_ALL } from './list-edit.ts';
import { didYouMean } from './nearest.ts';
import { layersOf, resolveFleet } from './resolve.ts';
import type { Fleet } from './schema.ts';

/** Profiles that no blade has, and items that take away what no layer below adds, for any blade. */
export function unusedIn(fleet: Fleet): Fault[] {
  return [...unusedProfiles(fleet), ...vainItems(fleet)];
}

/** Folders of overlays/ that nothing names. */
export function unusedOverlays(fleet: Fleet, overlays: readonly string[]): string[] {
  const layers = [fleet.defaults, ...Object.values(fleet.profiles), ...Object.values(fleet.blades)];
  const named = new Set(layers.flatMap((layer) => addedBy(layer.overlays)));
  return overlays.filter((name) => !named.has(name));
}

function unusedProfiles(fleet: Fleet): Fault[] {
  const used = new Set(resolveFleet(fleet).flatMap(({ profiles }) => profiles));
  return Object.keys(fleet.profiles)
    .filter((name) => !used.has(name))
    .map((name) => ({ path: ['profiles', name], message: 'no blade has this profile' }));
}

/** An item counts as in vain where it takes nothing from any of the blades that have it. */
function vainItems(fleet: Fleet): Fault[] {
  const vain = new Map<string, Fault>();
  const useful = new Set<string>();
  for (const name of Object.keys(fleet.blades)) {
    /** What the layers so far come to, by the list. */
    const below = new Map<string, string[]>();
    for (const [layerPath, layer] of layersOf(fleet, name)) {
      for (const [field, list] of editedLists(layer)) {
        const there = below.get(field.join('.')) ?? [];
        for (const [index, item] of list.entries()) {
          const { kind, name: taken } = editOf(item);
          if (kind === 'add' || item === TAKE_ALL) continue;
          const path = [...layerPath, ...field, index];
          const key = path.join('\n');
          if (there.includes(taken)) useful.add(key);
          const message = `${item} takes nothing away: no layer before it adds ${taken}${didYouMean(taken, there)}`;
          vain.set(key, { path, message });
        }
        below.set(field.join('.'), layList(there, list));
      }
    }
  }
  return [...vain].flatMap(([key, fault]) => (useful.has(key) ? [] : [fault]));
}
