/** What was measured, as a table for people and as JSON. */
import { bytes } from '../src/cli/output.ts';
import type { Contest } from './image/contest.ts';

/** One comparison. */
export interface Row {
  what: string;
  unit: 'seconds' | 'bytes' | 'files' | 'per second' | 'bytes per second';
  ours: number;
  /** What ours is put beside: a peer, a limit, another figure of our own. */
  beside: string;
  theirs: number;
  /** The most that ours may be, as a multiple of theirs. */
  goal?: number | undefined;
  /** The least that it must be, where more is better. */
  least?: number | undefined;
}

export interface PartReport {
  rows: Row[];
  /** The runs that the rows about time and memory were taken from. */
  contests: Record<string, Contest>;
}

/** Bytes of memory that all our processes may take together. */
const MEMORY_LIMIT = 400e6;

/** What a contest says about time: a row for each peer. */
export function timeRows(what: string, { ours, peers }: Contest): Row[] {
  return peers.map(({ name, seconds, goal }) => {
    return { what, unit: 'seconds', ours: ours.seconds, beside: name, theirs: seconds, goal };
  });
}

export function memoryRow(what: string, { ours }: Contest): Row {
  return { what, unit: 'bytes', ours: ours.peakBytes, beside: 'limit', theirs: MEMORY_LIMIT, goal: 1 };
}

export function ratioOf({ ours, theirs }: Row): number {
  return ours / theirs;
}

/** A table in Markdown: it reads well in a terminal, and goes into docs/benchmarks.md as it is. */
export function markdownTable(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.what,
    amount(row.ours, row.unit),
    row.beside,
    amount(row.theirs, row.unit),
    ratioOf(row).toFixed(3),
    wanted(row),
    verdict(row),
  ]);
  const headings = ['what', 'ours', 'beside', 'theirs', 'ratio', 'goal', ''];
  const widths = headings.map((heading, column) =>
    Math.max(3, heading.length, ...cells.map((line) => line[column]?.length ?? 0)),
  );
  const numbers = new Set([1, 3, 4, 5]);
  const line = (texts: string[]): string =>
    `| ${texts.map((text, column) => (numbers.has(column) ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0))).join(' | ')} |`;
  const rule = widths.map((width, column) =>
    numbers.has(column) ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width),
  );
  return [line(headings), line(rule), ...cells.map(line)].join('\n');
}

function verdict(row: Row): string {
  if (row.goal === undefined && row.least === undefined) return '';
  const ratio = ratioOf(row);
  return ratio <= (row.goal ?? Infinity) && ratio >= (row.least ?? 0) ? 'reached' : 'missed';
}

function wanted({ goal, least }: Row): string {
  if (goal !== undefined) return `≤ ${goal}`;
  return least === undefined ? '' : `≥ ${least}`;
}

function amount(value: number, unit: Row['unit']): string {
  if (unit === 'seconds') return `${value.toFixed(2)} s`;
  if (unit === 'bytes per second') return `${bytes(value)}/s`;
  if (unit === 'per second') return `${Math.round(value)}/s`;
  return unit === 'bytes' ? bytes(value) : `${value}`;
}
