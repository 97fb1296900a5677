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
