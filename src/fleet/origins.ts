/** Where each value of a resolved blade is written. Pure. */
import { editOf } from './list-edit.ts';
import { layersOf, networkNameAt, resolveBlade, MAIN_NETWORK } from './resolve.ts';
import type { Fleet } from './schema.ts';
import type { Path } from './source.ts';

export interface Origin {
  /** The way to the value in the resolved blade: a text, a number, or an item of a list. */
  path: Path;
  /** The way to it in the fleet. */
  from: Path;
}

/**
 * What nobody has written, as an empty list, has no origin.
 * @throws BladerootError `UNKNOWN_BLADE`
 */
export function originsOf(fleet: Fleet, name: string): Origin[] {
  const blade = resolveBlade(fleet, name);
  const layers = layersOf(fleet, name);
  const network = networkPath(fleet, blade.address);
  return leavesOf(blade).flatMap(({ path, value }) => {
    const field = String(path[0]);
    if (field === 'name') return [{ path, from: ['blades', name] }];
    if (field === 'profiles') return [{ path, from: naming(layers, String(value)) }];
    if (field === 'prefixLength' || field === 'netmask') return [{ path, from: [...network, 'subnet'] }];
    if (NETWORK_FIELDS.has(field)) return [{ path, from: [...network, ...path] }];
    const from = isEdited(path) ? itemOf(layers, path, value) : nearestWith(layers, path);
    return from === undefined ? [] : [{ path, from }];
  });
}

const NETWORK_FIELDS = new Set(['gateway', 'dns', 'domain']);

type Layer = readonly [Path, object];

function networkPath(fleet: Fleet, address: string): Path {
  const name = networkNameAt(fleet, address);
  return name === MAIN_NETWORK ? ['network'] : ['networks', name];
}

/** Variables are replaced whole where they are lists; all other lists are joined item by item. */
function isEdited(path: Path): boolean {
  return path[0] !== 'vars' && typeof path.at(-1) === 'number';
}

/** Where a profile of the chain is named: by the blade, or by the profile of the chain that is based on it. */
function naming(layers: readonly Layer[], profile: string): Path {
  for (const [path, layer] of layers.toReversed()) {
    for (const field of ['profile', 'extends']) {
      const names: unknown = Reflect.get(layer, field);
      const index = Array.isArray(names) ? names.indexOf(profile) : -1;
      if (index >= 0) return [...path, field, index];
    }
  }
  return ['profiles', profile];
}

/** The item of the nearest layer that adds it. */
function itemOf(layers: readonly Layer[], path: Path, name: unknown): Path | undefined {
  const list = path.slice(0, -1);
  for (const [layerPath, layer] of layers.toReversed()) {
    const items = valueAt(layer, list);
    if (!Array.isArray(items)) continue;
    const index = items.findIndex((item) => typeof item === 'string' && adds(item, name));
    if (index >= 0) return [...layerPath, ...list, index];
  }
  return undefined;
}

function adds(item: string, name: unknown): boolean {
  const edit = editOf(item);
  return edit.kind === 'add' && edit.name === name;
}

function nearestWith(layers: readonly Layer[], path: Path): Path | undefined {
  const found = layers.findLast(([, layer]) => valueAt(layer, path) !== undefined);
  return found && [...found[0], ...path];
}

function valueAt(data: unknown, path: Path): unknown {
  let value = data;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = Reflect.get(value, part);
  }
  return value;
}

/** Everything that is not a list or a map with something in it; empty ones only among the variables. */
function leavesOf(value: unknown, path: Path = []): { path: Path; value: unknown }[] {
  if (typeof value !== 'object' || value === null) return [{ path, value }];
  const entries: [string | number, unknown][] = Array.isArray(value)
    ? [...value.entries()]
    : Object.entries(value);
  if (entries.length === 0) return path[0] === 'vars' && path.length > 1 ? [{ path, value }] : [];
  return entries.flatMap(([key, inner]) => leavesOf(inner, [...path, key]));
}
