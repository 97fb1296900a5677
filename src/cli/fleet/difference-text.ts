/** What an edit changes, for people: a line for each field, in which blades that change alike stand together. */
import { foldHosts } from '../../fleet/host-list.ts';
import { flow } from '../../fleet/yaml-flow.ts';
import type { Difference, FieldDifference } from '../../fleet/differences.ts';
import { table } from '../output.ts';

export function differenceText(differences: readonly Difference[]): string {
  const alike = new Map<string, { names: string[]; difference: Difference; fields: FieldDifference }>();
  for (const difference of differences) {
    const { noun, kind, name } = difference;
    const all = difference.fields.length === 0 ? [{ field: '' }] : difference.fields;
    for (const fields of all) {
      const key = JSON.stringify([noun, kind, fields]);
      const row = alike.get(key) ?? { names: [], difference, fields };
      row.names.push(name);
      alike.set(key, row);
    }
  }
  const rows = [...alike.values()].map(({ names, difference: { noun, kind }, fields }) => [
    `${kind === 'added' ? '+' : kind === 'removed' ? '-' : ' '} ${noun} ${foldHosts(names)}`,
    fields.field,
    'before' in fields ? flow(fields.before) : '-',
    'after' in fields ? flow(fields.after) : '-',
  ]);
  return table(['  WHAT', 'FIELD', 'IS', 'BECOMES'], rows);
}

/** `3 blades changed, 1 profile added`. */
export function countText(differences: readonly Difference[]): string {
  const counts = new Map<string, number>();
  for (const { noun, kind } of differences) {
    counts.set(`${noun} ${kind}`, (counts.get(`${noun} ${kind}`) ?? 0) + 1);
  }
  return [...counts]
    .map(([what, count]) => {
      const [noun, kind] = what.split(' ');
      return `${count} ${noun}${count === 1 ? '' : 's'} ${kind}`;
    })
    .join(', ');
}
