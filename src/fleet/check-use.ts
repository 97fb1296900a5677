/** What a fleet has and nobody needs: no faults, but most often the traces of a slip. Pure. */
import type { Fault } from './check.ts';
import { addedBy, editOf, layList, TAKE_ALL } from './list-edit.ts';
import { didYouMean } from './nearest.ts';
import { layersOf, resolveFleet } from './resolve.ts';
import type { Fleet, Settings } from './schema.ts';
import type { Path } from './source.ts';

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

/** The lists whose items may take away what layers below add. */
const LISTS: [Path, (settings: Settings) => string[]][] = [
  [['overlays'], ({ overlays }) => overlays],
  [['services', 'start'], ({ services }) => services.start],
  [['services', 'stop'], ({ services }) => services.stop],
  [['kernelArgs'], ({ kernelArgs }) => kernelArgs],
];

/** An item counts as in vain where it takes nothing from any of the blades that have it. */
function vainItems(fleet: Fleet): Fault[] {
  const vain = new Map<string, Fault>();
  const useful = new Set<string>();
  for (const name of Object.keys(fleet.blades)) {
    for (const [field, listOf] of LISTS) {
      let below: string[] = [];
      for (const [layerPath, layer] of layersOf(fleet, name)) {
        const list = listOf(layer);
        for (const [index, item] of list.entries()) {
          const { kind, name: taken } = editOf(item);
          if (kind === 'add' || item === TAKE_ALL) continue;
          const path = [...layerPath, ...field, index];
          const key = path.join('\n');
          if (below.includes(taken)) useful.add(key);
          const message = `${item} takes nothing away: no layer before it adds ${taken}${didYouMean(taken, below)}`;
          vain.set(key, { path, message });
        }
        below = layList(below, list);
      }
    }
  }
  return [...vain].flatMap(([key, fault]) => (useful.has(key) ? [] : [fault]));
}
