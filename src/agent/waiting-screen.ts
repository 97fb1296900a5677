/** What stands on the console of a machine that waits for its name. */
import type { Machine } from '../fleet/machine.ts';
import { fingerprint } from '../secrets/fingerprint.ts';

/** ECMA-48: erases the screen (ED), and goes to its upper left corner (CUP). */
const CLEAR = '\u001B[2J\u001B[H';
/** Of a console as every machine has it; one row is left for the cursor. */
const COLUMNS = 80;
/** Rows for cards, and as many for disks, so that all of it fits into 24. */
const MOST_ALIKE = 3;

/** @param status what the root says */
export function waitingScreen(machine: Machine, fleet: string, status: string): string {
  const { mac, serial, guid, recipient, vendor, model } = machine;
  const maker = [vendor, model].filter((word) => word !== undefined).join(' ');
  const facts = [
    ['machine', maker || 'a machine that does not say its model'],
    ['serial', serial ?? 'none'],
    ['GUID', guid ?? 'none'],
    ...(recipient === undefined ? [] : [['identity', fingerprint(recipient)]]),
    ['CPU', `${machine.cpu.count} × ${machine.cpu.model ?? 'CPU'}, ${gigabytes(machine.memoryBytes)} memory`],
    ...few(cardsOf(machine)).map((card) => ['card', card]),
    ...few(disksOf(machine)).map((disk) => ['disk', disk]),
  ].map(([name = '', value = '']) => `   ${name.padEnd(8)} ${value}`);
  return [
    `${CLEAR}  bladeroot: this machine has no name in the fleet ${fleet} yet`,
    '',
    ...facts,
    '',
    '  Nothing is written to its disks. Give it a name on the root:',
    '',
    `      bladeroot blade adopt ${mac} NAME`,
    '',
    '  and it goes on by itself.',
    '',
    ...wrapped(`waiting: ${status}`),
  ]
    .map((line) => line.slice(0, COLUMNS - 1 + (line.startsWith(CLEAR) ? CLEAR.length : 0)))
    .join('\r\n');
}

/** The one that it booted from first. */
function cardsOf({ mac, nics }: Machine): string[] {
  return nics
    .toSorted((one, other) => Number(other.mac === mac) - Number(one.mac === mac))
    .map(
      (nic) =>
        `${nic.mac} ${nic.name}${nic.link ? '' : ', no link'}${nic.mac === mac ? ', booted from' : ''}`,
    );
}

/** Alike disks on one line. */
function disksOf({ disks }: Machine): string[] {
  const alike = new Map<string, string[]>();
  for (const { path, bytes, model = '' } of disks) {
    const kind = `${gigabytes(bytes)} ${model}`.trimEnd();
    alike.set(kind, [...(alike.get(kind) ?? []), path]);
  }
  return [...alike].map(([kind, [first = '', ...others]]) =>
    others.length === 0 ? `${first} ${kind}` : `${others.length + 1} × ${kind}, from ${first}`,
  );
}

function few(lines: string[]): string[] {
  if (lines.length <= MOST_ALIKE) return lines;
  const shown = lines.slice(0, MOST_ALIKE - 1);
  return [...shown, `and ${lines.length - shown.length} more`];
}

/** At most four lines. */
function wrapped(text: string): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line.length + word.length + 3 < COLUMNS) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(` ${' '.repeat('waiting: '.length)}${word}`);
  }
  return lines.slice(0, 4).map((line) => ` ${line}`);
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
