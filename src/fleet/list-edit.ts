/** Lists of one layer laid over those of the layers below: `nginx` and `+nginx` add, `-postfix` takes, `-*` takes all. Pure. */

/** Takes all that the layers below say. */
export const TAKE_ALL = '-*';

export interface ListEdit {
  kind: 'add' | 'take';
  /** Without its sign. */
  name: string;
}

export function editOf(item: string): ListEdit {
  if (item.startsWith('-')) return { kind: 'take', name: item.slice(1) };
  return { kind: 'add', name: item.startsWith('+') ? item.slice(1) : item };
}

/** What a list adds, each name once. */
export function addedBy(list: readonly string[]): string[] {
  return [...new Set(namesOf(list, 'add'))];
}

/**
 * What is added stands last, also when it stands in a layer below; what is taken is taken from the layers below alone.
 * @param below names without signs
 */
export function layList(below: readonly string[], list: readonly string[]): string[] {
  const added = addedBy(list);
  if (list.includes(TAKE_ALL)) return added;
  return [...without(below, [...namesOf(list, 'take'), ...added]), ...added];
}

export function without(names: readonly string[], taken: readonly string[]): string[] {
  const gone = new Set(taken);
  return names.filter((name) => !gone.has(name));
}

function namesOf(list: readonly string[], wanted: ListEdit['kind']): string[] {
  return list.map(editOf).flatMap(({ kind, name }) => (kind === wanted ? [name] : []));
}
