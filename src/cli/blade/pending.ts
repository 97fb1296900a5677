/** The machines that wait for a person, as the root of this state directory knows them: for a name, or for approval. */
import { errorCode } from '../../errors.ts';
import { acceptanceOf, type Acceptance } from '../../release/identify.ts';
import { readPublicKey } from '../../release/keys.ts';
import { ReleaseRepository, type SignedRelease } from '../../release/repository.ts';
import { fingerprint } from '../../secrets/fingerprint.ts';
import { openDatabaseToRead } from '../../state/database.ts';
import { MachineRepository, type KnownMachine } from '../../state/machines.ts';
import type { Context } from '../command.ts';
import { bytes, table } from '../output.ts';

/** All machines that have said hello to this root. @throws BladerootError `STATE_NEWER`, `STATE_OLDER` */
export function readKnown(stateDirectory: string): KnownMachine[] {
  const database = openDatabaseToRead(stateDirectory);
  if (database === undefined) return [];
  try {
    return new MachineRepository(database).all();
  } finally {
    database.close();
  }
}

/** Those of them that are no blades. */
export function readPending(stateDirectory: string): KnownMachine[] {
  return readKnown(stateDirectory).filter(({ blade }) => blade === undefined);
}

/** A machine that is a blade, with an identity that is not, or not any more, the accepted one. */
interface Unapproved extends KnownMachine {
  blade: string;
  recipient: string;
  acceptance: Exclude<Acceptance, 'accepted'>;
}

const ACCEPTANCES: Record<Unapproved['acceptance'], string> = {
  unapproved: 'waits for `blade approve`',
  'other-identity': 'not the accepted identity',
};

export async function listPending({ stateDirectory, output }: Context): Promise<void> {
  const pending = readPending(stateDirectory);
  const unapproved = await readUnapproved(stateDirectory);
  const refused = readKnown(stateDirectory).flatMap(({ blade, machine, lastSeen }) =>
    blade === undefined || machine.refusal === undefined
      ? []
      : [{ blade, mac: machine.mac, refusal: machine.refusal, lastSeen }],
  );
  const rows = pending.map(({ machine, lastSeen }) => [
    machine.mac,
    machine.serial ?? machine.guid ?? '',
    [machine.vendor, machine.model].filter((word) => word !== undefined).join(' '),
    String(machine.cpu.count),
    bytes(machine.memoryBytes),
    machine.disks.map((disk) => bytes(disk.bytes)).join(' + '),
    machine.recipient === undefined ? '' : fingerprint(machine.recipient),
    ago(Date.now() - lastSeen),
  ]);
  const headings = ['MAC', 'SERIAL', 'MODEL', 'CPUS', 'MEMORY', 'DISKS', 'IDENTITY', 'SEEN'];
  const tables = [
    ...(rows.length > 0 ? [table(headings, rows)] : []),
    ...(unapproved.length > 0 ? [unapprovedTable(unapproved)] : []),
    ...refused.map(
      ({ blade, mac, refusal, lastSeen }) =>
        `${blade} (${mac}, seen ${ago(Date.now() - lastSeen)}) waits for its disks: ${refusal}`,
    ),
  ];
  const value = [
    ...pending.map((known) => ({ ...known.machine, ...times(known) })),
    ...unapproved.map(({ blade, acceptance, ...known }) => ({
      ...known.machine,
      ...times(known),
      blade,
      acceptance,
    })),
    ...refused.map(({ lastSeen, ...one }) => ({ ...one, lastSeen: new Date(lastSeen).toISOString() })),
  ];
  output.result(value, tables.length === 0 ? 'no machine waits for a name' : tables.join('\n\n'));
}

async function readUnapproved(stateDirectory: string): Promise<Unapproved[]> {
  const blades = (await currentRelease(stateDirectory))?.statement.blades ?? [];
  return readKnown(stateDirectory).flatMap((known) => {
    const blade = blades.find(({ name }) => name === known.blade);
    const { recipient } = known.machine;
    if (blade === undefined || recipient === undefined) return [];
    const acceptance = acceptanceOf(blade, recipient);
    return acceptance === 'accepted' ? [] : [{ ...known, blade: blade.name, recipient, acceptance }];
  });
}

/** What the root serves; a state directory without a key has none. */
async function currentRelease(stateDirectory: string): Promise<SignedRelease | undefined> {
  try {
    const publicKey = await readPublicKey(stateDirectory);
    return await new ReleaseRepository(stateDirectory, publicKey).current();
  } catch (error) {
    if (errorCode(error) === 'NO_KEY') return undefined;
    throw error;
  }
}

function unapprovedTable(unapproved: readonly Unapproved[]): string {
  const rows = unapproved.map(({ blade, machine, recipient, acceptance, lastSeen }) => [
    blade,
    machine.mac,
    fingerprint(recipient),
    ACCEPTANCES[acceptance],
    ago(Date.now() - lastSeen),
  ]);
  return table(['BLADE', 'MAC', 'IDENTITY', 'STATE', 'SEEN'], rows);
}

function times({ firstSeen, lastSeen }: KnownMachine): { firstSeen: string; lastSeen: string } {
  return { firstSeen: new Date(firstSeen).toISOString(), lastSeen: new Date(lastSeen).toISOString() };
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
