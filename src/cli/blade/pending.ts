/** The machines that wait for a name, as the root of this state directory knows them. */
import { openDatabaseToRead } from '../../state/database.ts';
import { MachineRepository, type KnownMachine } from '../../state/machines.ts';
import type { Context } from '../command.ts';
import { bytes, table } from '../output.ts';

/** @throws BladerootError `STATE_NEWER`, `STATE_OLDER` */
export function readPending(stateDirectory: string): KnownMachine[] {
  const database = openDatabaseToRead(stateDirectory);
  if (database === undefined) return [];
  try {
    return new MachineRepository(database).pending();
  } finally {
    database.close();
  }
}

export function listPending({ stateDirectory, output }: Context): void {
  const pending = readPending(stateDirectory);
  const rows = pending.map(({ machine, lastSeen }) => [
    machine.mac,
    machine.serial ?? machine.guid ?? '',
    [machine.vendor, machine.model].filter((word) => word !== undefined).join(' '),
    String(machine.cpu.count),
    bytes(machine.memoryBytes),
    machine.disks.map((disk) => bytes(disk.bytes)).join(' + '),
    ago(Date.now() - lastSeen),
  ]);
  const headings = ['MAC', 'SERIAL', 'MODEL', 'CPUS', 'MEMORY', 'DISKS', 'SEEN'];
  const value = pending.map(({ machine, firstSeen, lastSeen }) => ({
    ...machine,
    firstSeen: new Date(firstSeen).toISOString(),
    lastSeen: new Date(lastSeen).toISOString(),
  }));
  output.result(value, rows.length === 0 ? 'no machine waits for a name' : table(headings, rows));
}

/** A waiting machine is heard of at least every ten seconds. */
function ago(milliseconds: number): string {
  const minutes = Math.floor(milliseconds / 60_000);
  if (minutes < 1) return 'now';
  if (minutes < 120) return `${minutes} min ago`;
  return minutes < 48 * 60
    ? `${Math.floor(minutes / 60)} h ago`
    : `${Math.floor(minutes / 60 / 24)} days ago`;
}
