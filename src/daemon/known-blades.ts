/** Which blade a MAC address belongs to. */
import type { ReleaseBlade, ReleaseStatement } from '../release/statement.ts';
import type { MachineRepository } from '../state/machines.ts';
import { fleetNetworks } from './fleet-networks.ts';

/**
 * A blade is known by the MAC that fleet.yaml gives it; one that fleet.yaml names by serial number or GUID, by the MAC of
 * the machine that has said hello as that blade. A machine that has only asked DHCP is nobody.
 */
export class KnownBlades {
  readonly #release: () => ReleaseStatement;
  readonly #machines: MachineRepository;

  constructor(release: () => ReleaseStatement, machines: MachineRepository) {
    this.#release = release;
    this.#machines = machines;
  }

  of(mac: string): ReleaseBlade | undefined {
    const release = this.#release();
    const { blades } = fleetNetworks(release);
    // Where all have a MAC, a storm of strangers costs the database nothing.
    if (blades.has(mac) || blades.size === release.blades.length) return blades.get(mac);
    const known = this.#machines.get(mac);
    const named = release.blades.find(({ name }) => name === known?.blade);
    if (known === undefined || named === undefined || named.mac !== undefined) return undefined;
    // fleet.yaml may mean another machine by that name meanwhile.
    const { serial, guid } = known.machine;
    const isIt =
      (named.serial !== undefined && named.serial === serial) ||
      (named.guid !== undefined && named.guid === guid);
    return isIt ? named : undefined;
  }
}
