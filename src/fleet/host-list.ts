/**
 * Names several blades in a few words: `web[01-20,33]`, `@profile:web`, `@rack:3`, `@all`, and `!web07` for all but that
 * one. Words stand behind each other or are joined by commas. Pure.
 */
import { BladerootError } from '../errors.ts';
import { didYouMean, nameList } from './nearest.ts';
import { resolveFleet } from './resolve.ts';
import type { Fleet } from './schema.ts';

/** For the help of commands that take host lists. */
export const HOST_LIST_HELP =
  "blades: names, web[01-20,33], @profile:web, @rack:3 (vars.rack), @all, '!web07'";

/** More names than any fleet has: a slip of the fingers in a range does not take all the memory. */
const MOST_NAMES = 100_000;

/**
 * The blades that patterns mean, each once, in the order in which they are named; those with `!` are left out wherever
 * they stand. With nothing but `!` patterns, they are left out of all blades.
 * @throws BladerootError `BAD_HOST_LIST` for what is no pattern, `UNKNOWN_BLADE`, `UNKNOWN_PROFILE` or `UNKNOWN_SELECTOR`
 * for what the fleet does not have, `NO_BLADES` when nothing is left
 */
export function expandHosts(patterns: readonly string[], fleet: Fleet): string[] {
  const words = patterns.flatMap(splitWords);
  const wanted = words.filter((word) => !word.startsWith('!'));
  const unwanted = words.filter((word) => word.startsWith('!')).map((word) => word.slice(1));
  const named = wanted.length === 0 && unwanted.length > 0 ? ['@all'] : wanted;
  const without = new Set(unwanted.flatMap((word) => bladesOf(word, fleet)));
  const blades = new Set(named.flatMap((word) => bladesOf(word, fleet)));
  const rest = [...blades].filter((name) => !without.has(name));
  if (rest.length > 0) return rest;
  throw new BladerootError('NO_BLADES', `${patterns.join(' ')} names no blade of fleet ${fleet.name}`, {
    hint: 'list its blades with "bladeroot blade list"',
  });
}

/** Whether a word means something else than the one name that it is. */
export function isHostPattern(word: string): boolean {
  return /[[\],@!]/.test(word);
}

/** Whether patterns are one blade by its plain name: then commands print one thing, else a list, whatever it has. */
export function isOneBlade(patterns: readonly string[]): boolean {
  return patterns.length === 1 && !patterns.some(isHostPattern);
}

/** The words between commas, but those in brackets. */
function splitWords(pattern: string): string[] {
  const words = pattern.split(/,(?![^[\]]*\])/);
  if (words.every((word) => word !== '' && word !== '!')) return words;
  throw bad(pattern, 'has nothing before or behind a comma or "!"');
}

function bladesOf(word: string, fleet: Fleet): string[] {
  if (word.startsWith('@')) return selected(word, fleet);
  const names = expandRanges(word);
  const unknown = names.filter((name) => !Object.hasOwn(fleet.blades, name));
  const [first] = unknown;
  if (first === undefined) return names;
  const known = Object.keys(fleet.blades);
  const from = names.length > 1 ? ` (of ${word})` : '';
  throw new BladerootError(
    'UNKNOWN_BLADE',
    `fleet ${fleet.name} has no blade ${nameList(unknown)}${from}${didYouMean(first, known)}`,
    { hint: `list its ${known.length} blades with "bladeroot blade list"` },
  );
}

/** Names in few words, joined by commas: web01, web02, web03 and mail01 are `web[01-03],mail01`. */
export function foldHosts(names: readonly string[]): string {
  const alike = new Map<string, { stem: string; numbers: string[] }>();
  for (const name of names) {
    const [, stem = name, number] = /^(.*?)(\d{1,9})$/.exec(name) ?? [];
    const key = number === undefined ? name : `${stem}[${number.length}`;
    const some = alike.get(key) ?? { stem, numbers: [] };
    if (number !== undefined) some.numbers.push(number);
    alike.set(key, some);
  }
  return [...alike.values()].map(({ stem, numbers }) => stem + foldNumbers(numbers)).join(',');
}

/** Of numbers of one width. */
function foldNumbers(numbers: readonly string[]): string {
  const ranges: [first: string, last: string][] = [];
  for (const number of numbers.toSorted()) {
    const range = ranges.at(-1);
    if (range !== undefined && Number(number) === Number(range[1]) + 1) range[1] = number;
    else ranges.push([number, number]);
  }
  const texts = ranges.map(([first, last]) => (first === last ? first : `${first}-${last}`));
  return texts.length > 1 || texts[0]?.includes('-') === true ? `[${texts.join(',')}]` : (texts[0] ?? '');
}

/**
 * `r[1-2]n[01-03]` is r1n01, r1n02, … r2n03. Numbers are as wide as they are written.
 * @throws BladerootError `BAD_HOST_LIST`
 */
export function expandRanges(word: string): string[] {
  // Every second part is what stood in brackets.
  const parts = word.split(/\[([^[\]]*)\]/);
  if (parts.some((part, index) => index % 2 === 0 && /[[\]]/.test(part))) {
    throw bad(word, 'has a bracket without its other one');
  }
  return parts.reduce<string[]>(
    (names, part, index) => {
      const endings = index % 2 === 0 ? [part] : numbersOf(part, word);
      if (names.length * endings.length > MOST_NAMES) throw bad(word, `is more than ${MOST_NAMES} names`);
      return names.flatMap((name) => endings.map((ending) => name + ending));
    },
    [''],
  );
}

function numbersOf(list: string, word: string): string[] {
  return list.split(',').flatMap((range) => {
    const match = /^(\d+)(?:-(\d+))?$/.exec(range.trim());
    const [from = '', to = from] = match?.slice(1) ?? [];
    if (match === null) throw bad(word, `has "${range}" in brackets, which is neither a number nor a range`);
    const [first, count] = [Number(from), Number(to) - Number(from) + 1];
    if (count < 1) throw bad(word, `has the range ${range}, which ends before it begins`);
    if (count > MOST_NAMES) throw bad(word, `is more than ${MOST_NAMES} names`);
    const padded = [from, to].some((end) => end.length > 1 && end.startsWith('0'));
    if (padded && from.length !== to.length) {
      throw bad(word, `has the range ${range}, whose ends are not of the same width`);
    }
    return Array.from({ length: count }, (_, index) => String(first + index).padStart(from.length, '0'));
  });
}

function bad(word: string, why: string): BladerootError {
  return new BladerootError('BAD_HOST_LIST', `"${word}" ${why}`, {
    hint: 'write blades as in web01, web[01-20,33], @profile:web, @rack:3, @all, or !web07 for all but that one',
  });
}

/** The blades of `@all`, of `@profile:NAME` also by what profiles extend, and of `@NAME:VALUE` by the blade's `vars`. */
function selected(word: string, fleet: Fleet): string[] {
  if (word === '@all') return Object.keys(fleet.blades);
  const [, key, value] = /^@([^:]+):(.+)$/.exec(word) ?? [];
  const blades = resolveFleet(fleet);
  if (key === undefined || value === undefined) {
    const selectors = ['@all', ...selectorsOf(blades).map((name) => `@${name}:…`)];
    throw bad(word, `is not one of ${nameList(selectors)}`);
  }
  if (key === 'profile') {
    requireProfile(fleet, value);
    return blades.filter(({ profiles }) => profiles.includes(value)).map(({ name }) => name);
  }
  const valueOf = (vars: Readonly<Record<string, unknown>>): string | undefined => {
    const own = Object.hasOwn(vars, key) ? vars[key] : undefined;
    return own === undefined || own === null || typeof own === 'object' ? undefined : String(own);
  };
  const found = blades.filter(({ vars }) => valueOf(vars) === value);
  if (found.length > 0) return found.map(({ name }) => name);
  const values = new Set(blades.flatMap(({ vars }) => valueOf(vars) ?? []));
  if (values.size === 0) {
    const known = selectorsOf(blades);
    throw new BladerootError(
      'UNKNOWN_SELECTOR',
      `${word}: no blade of fleet ${fleet.name} has vars.${key}${didYouMean(key, known)}`,
      { hint: `blades can be chosen by ${nameList(known)}` },
    );
  }
  throw new BladerootError(
    'UNKNOWN_SELECTOR',
    `${word}: no blade of fleet ${fleet.name} has vars.${key}: ${value}${didYouMean(value, values)}`,
    { hint: `values of ${key}: ${nameList(values)}` },
  );
}

/** @throws BladerootError `UNKNOWN_PROFILE` */
export function requireProfile({ name, profiles }: Fleet, profile: string): void {
  if (Object.hasOwn(profiles, profile)) return;
  const known = Object.keys(profiles);
  throw new BladerootError(
    'UNKNOWN_PROFILE',
    `fleet ${name} has no profile ${profile}${didYouMean(profile, known)}`,
    { hint: `profiles: ${nameList(known)}` },
  );
}

function selectorsOf(blades: readonly { vars: object }[]): string[] {
  return ['profile', ...new Set(blades.flatMap(({ vars }) => Object.keys(vars)))];
}
