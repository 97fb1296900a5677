import type { MachineIdentity } from '../fleet/machine.ts';
import type { ReleaseBlade } from './statement.ts';

/**
 * The blade that a machine is: by the MAC of one of its cards, else by its serial number, else by its GUID. Agent and root
 * ask the same question of the same signed release, so they get the same answer.
 */
export function identifyBlade(
  blades: readonly ReleaseBlade[],
  { macs, serial, guid }: MachineIdentity,
): ReleaseBlade | undefined {
  return (
    blades.find(({ mac }) => mac !== undefined && macs.includes(mac)) ??
    blades.find((blade) => blade.serial !== undefined && blade.serial === serial) ??
    blades.find((blade) => blade.guid !== undefined && blade.guid === guid)
  );
}

/** Whether a machine that is a blade by its MAC, serial number or GUID has shown the identity of that blade. */
export type Acceptance = 'accepted' | 'unapproved' | 'other-identity';

/** @param recipient what it has shown (age) */
export function acceptanceOf(blade: Pick<ReleaseBlade, 'recipient'>, recipient: string): Acceptance {
  if (blade.recipient === undefined) return 'unapproved';
  return blade.recipient === recipient ? 'accepted' : 'other-identity';
}
