/** What is different between two states of a fleet, field by field. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { entryAt, mapAt } from './edit.ts';
import { leavesOf, NOUNS, type Noun } from './fields.ts';
import type { PartFolder } from './fleet-source.ts';

export const FOLDER_OF: Readonly<Record<Noun, PartFolder>> = { blade: 'blades', profile: 'profiles' };

/** A profile or blade that is not what it was. */
export interface Difference {
  noun: Noun;
  name: string;
  kind: 'added' | 'removed' | 'changed';
  fields: FieldDifference[];
}

/** What is not there has no `before`, or no `after`. */
export interface FieldDifference {
  field: string;
  before?: unknown;
  after?: unknown;
}

/** @param before and after: what the YAML of the whole fleet says */
export function differencesOf(before: unknown, after: unknown): Difference[] {
  return NOUNS.toReversed().flatMap((noun) => {
    const folder = FOLDER_OF[noun];
    const names = new Set([...Object.keys(mapAt(before, folder)), ...Object.keys(mapAt(after, folder))]);
    return [...names].flatMap((name): Difference[] => {
      const [old, fresh] = [entryAt(before, folder, name), entryAt(after, folder, name)];
      const fields = fieldDifferences(leavesOf(noun, old), leavesOf(noun, fresh));
      if (old === undefined) return [{ noun, name, kind: 'added', fields }];
      if (fresh === undefined) return [{ noun, name, kind: 'removed', fields }];
      return fields.length === 0 ? [] : [{ noun, name, kind: 'changed', fields }];
    });
  });
}

function fieldDifferences(
  before: ReadonlyMap<string, unknown>,
  after: ReadonlyMap<string, unknown>,
): FieldDifference[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((field) => !isDeepStrictEqual(before.get(field), after.get(field)))
    .map((field) => ({
      field,
      ...(before.has(field) ? { before: before.get(field) } : {}),
      ...(after.has(field) ? { after: after.get(field) } : {}),
    }));
}
