/** Finds what a person who mistyped a name most likely meant. */

/** Up to `limit` of `known` that a few slips of the fingers turn into `name`, the likeliest first. */
export function nearest(name: string, known: Iterable<string>, limit = 1): string[] {
  const slips = Math.max(1, Math.floor(name.length / 3));
  return [...known]
    .map((candidate) => ({ candidate, distance: distance(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= slips && distance < candidate.length)
    .sort((a, b) => a.distance - b.distance || (a.candidate < b.candidate ? -1 : 1))
    .slice(0, limit)
    .map(({ candidate }) => candidate);
}

/** The end of a sentence: `; did you mean web01?`, or nothing when no known name is near. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const [candidate] = nearest(name, known);
  return candidate === undefined ? '' : `; did you mean ${candidate}?`;
}

/** A list for a sentence: `a, b, c`, or `none`; cut after `limit` names. */
export function nameList(names: Iterable<string>, limit = 12): string {
  const all = [...names];
  if (all.length === 0) return 'none';
  const more = all.length > limit ? ` and ${all.length - limit} more` : '';
  return all.slice(0, limit).join(', ') + more;
}

/** Optimal string alignment: insertions, deletions, replacements, and two neighbours swapped count one each. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = (last[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      const best = Math.min(replaced, (last[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1);
      const swapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      current.push(swapped ? Math.min(best, (before[column - 2] ?? 0) + 1) : best);
    }
    [before, last] = [last, current];
  }
  return last[b.length] ?? 0;
}
