/** What stands on the console of a machine that waits for its name. */
import type { Machine } from '../fleet/machine.ts';
import { fingerprint } from '../secrets/fingerprint.ts';

/** ECMA-48: erases the screen (ED), and goes to its upper left corner (CUP). */
const CLEAR = '\u001B[2J\u001B[H';

/** @param status what the root says, on one line */
export function waitingScreen(machine: Machine, fleet: string, status: string): string {
  const { mac, serial, guid, recipient, vendor, model, nics, disks } = machine;
  const maker = [vendor, model].filter((word) => word !== undefined).join(' ');
  const facts = [
    ['machine', maker || 'a machine that does not say its model'],
    ['serial', serial ?? 'none'],
    ['GUID', guid ?? 'none'],
    ...(recipient === undefined ? [] : [['identity', fingerprint(recipient)]]),
    ['CPU', `${machine.cpu.count} × ${machine.cpu.model ?? 'CPU'}, ${gigabytes(machine.memoryBytes)} memory`],
    ...nics.map((nic) => [
      'card',
      `${nic.mac} ${nic.name}${nic.link ? '' : ', no link'}${own(nic.mac, mac)}`,
    ]),
    ...disks.map((disk) => ['disk', `${disk.path} ${gigabytes(disk.bytes)} ${disk.model ?? ''}`.trimEnd()]),
  ].map(([name = '', value = '']) => `   ${name.padEnd(8)} ${value}`);
  return [
    CLEAR,
    `  bladeroot: this machine has no name in the fleet ${fleet} yet`,
    '',
    ...facts,
    '',
    '  Nothing is written to its disks. Give it a name on the root, and it goes on by itself:',
    '',
    `      bladeroot blade adopt ${mac} NAME`,
    '',
    `  waiting: ${status}`,
    '',
  ].join('\r\n');
}

function own(mac: string, booted: string): string {
  return mac === booted ? ', booted from' : '';
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
