/** What the fields of a fleet are made of: each says of a wrong value what it is not, and what would be right. */
import { z } from 'zod';
import { didYouMean, nameList } from './nearest.ts';

/** Says of a wrong value what it is not and what to write instead, and of a missing one what to write. */
export function expects(what: string, right: string): (issue: { readonly input?: unknown }) => string {
  return ({ input }) =>
    input === undefined ? `is missing; write ${right}` : `${shown(input)} is not ${what}; write ${right}`;
}

function shown(value: unknown): string {
  if (value === null) return 'nothing';
  return (typeof value === 'number' ? String(value) : JSON.stringify(value)).slice(0, 80);
}

export function text(pattern: RegExp, what: string, right: string) {
  const error = expects(what, right);
  return z.string({ error }).regex(pattern, { error });
}

export function listOf<Item extends z.ZodType>(item: Item, right: string) {
  return z.array(item, { error: expects('a list', right) });
}

/** Several unknown keys are one issue for zod: its message has a line for each, in the order of `issue.keys`. */
export function strict<Shape extends z.ZodRawShape>(shape: Shape) {
  const known = Object.keys(shape);
  const wrongType = expects('a map', `"key: value" lines; the keys are ${known.join(', ')}`);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys
            .map(
              (key) => `is not a known key${didYouMean(key, known) || `; known are ${nameList(known, 20)}`}`,
            )
            .join('\n')
        : wrongType(issue),
  });
}

export function mapOf<Key extends z.ZodString, Value extends z.ZodType>(
  key: Key,
  value: Value,
  right: string,
) {
  return z.record(key, value, { error: expects('a map', right) });
}
