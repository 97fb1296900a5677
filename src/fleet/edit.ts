/** Changes a fleet in the files in which it stands. Pure. */
import type { EditedTexts } from './edit-journal.ts';
import { FLEET_FILE, FleetSource, type FleetTexts, type PartFolder } from './fleet-source.ts';
import { editYaml, type Change } from './yaml-edit.ts';

/**
 * Makes changes of profiles and blades: what is there is changed where it stands, what is new goes to where others of its
 * kind stand, in `fleet.yaml` or in a file of its own.
 * @param texts of a fleet without faults
 * @param changes by their path in the whole fleet, such as `blades.web01.boot.timeout`
 * @throws BladerootError `EDIT_BY_HAND`
 */
export function editTexts(texts: FleetTexts, changes: readonly Change[]): EditedTexts {
  const source = new FleetSource(texts);
  const own: Change[] = [];
  const parts = new Map<string, Change[]>();
  const edited = new Map<string, string | undefined>();
  for (const change of changes) {
    const [folder, name] = change.path;
    const { file, path } = source.placeOf(change.path);
    if (file !== FLEET_FILE && path.length === 0 && change.value === undefined) edited.set(file, undefined);
    else if (file !== FLEET_FILE) parts.set(file, [...(parts.get(file) ?? []), { ...change, path }]);
    else if ((folder === 'blades' || folder === 'profiles') && isNewPart(texts, source, change, folder)) {
      edited.set(`${folder}/${name}.yaml`, partText(change.value));
    } else own.push(change);
  }
  for (const [file, some] of parts) edited.set(file, editYaml(texts.get(file) ?? '', some, 0));
  if (own.length > 0) edited.set(FLEET_FILE, editYaml(texts.get(FLEET_FILE) ?? '', own, KEPT_KEYS));
  return new Map([...edited].filter(([file, text]) => text !== texts.get(file)));
}

/** `blades.web01` stays, as `{}`, when nothing is left in it. */
const KEPT_KEYS = 2;

/** Whether others of its kind have files of their own. A name with a slash is none: in fleet.yaml it is refused. */
function isNewPart(
  texts: FleetTexts,
  source: FleetSource,
  { path, value }: Change,
  folder: PartFolder,
): boolean {
  const [, name] = path;
  if (value === undefined || path.length !== 2 || String(name).includes('/')) return false;
  const names = Object.keys(mapAt(source.data, folder));
  const isThere = names.includes(String(name));
  const inMain = names.some((other) => source.placeOf([folder, other]).file === FLEET_FILE);
  return !isThere && !inMain && [...texts.keys()].some((file) => file.startsWith(`${folder}/`));
}

function partText(value: unknown): string {
  const fields = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  if (fields.length === 0) return '{}\n';
  return editYaml(
    '',
    fields.map(([key, item]: [string, unknown]) => ({ path: [key], value: item })),
    0,
  );
}

/** What a profile or blade itself says, as it stands in YAML; undefined when there is none. */
export function entryAt(data: unknown, folder: PartFolder, name: string): unknown {
  const map = mapAt(data, folder);
  return Object.hasOwn(map, name) ? Reflect.get(map, name) : undefined;
}

/** All profiles or blades, as they stand in YAML. */
export function mapAt(data: unknown, folder: PartFolder): object {
  const map: unknown = typeof data === 'object' && data !== null ? Reflect.get(data, folder) : undefined;
  return typeof map === 'object' && map !== null ? map : {};
}
