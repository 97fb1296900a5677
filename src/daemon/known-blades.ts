/** Which blade a MAC address belongs to. */
import type { Booting } from '../events/catalogue.ts';
import { bladeIndex } from '../release/blade-index.ts';
import type { ReleaseBlade, ReleaseStatement } from '../release/statement.ts';
import type { MachineRepository } from '../state/machines.ts';

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

  /**
   * Who speaks from an IPv4 address, a blade's own or one that another DHCP server has lent it, for events: a machine that
   * is no blade is called by its MAC, and where that cannot be seen by its address.
   * @param macAt which card is there, where that can be seen
   */
  who(address: string, macAt: (address: string) => string | undefined): Booting {
    const own = bladeIndex(this.#release()).byAddress.get(address);
    if (own !== undefined) return { blade: own.name };
    const mac = macAt(address);
    if (mac === undefined) return { blade: address };
    const blade = this.of(mac);
    return blade === undefined ? { mac } : { blade: blade.name };
  }

  of(mac: string): ReleaseBlade | undefined {
    const release = this.#release();
    const { byMac, byName } = bladeIndex(release);
    // Where all have a MAC, a storm of strangers costs the database nothing.
    if (byMac.has(mac) || byMac.size === release.blades.length) return byMac.get(mac);
    const known = this.#machines.get(mac);
    const named = byName.get(known?.blade ?? '');
    if (known === undefined || named === undefined || named.mac !== undefined) return undefined;
    // fleet.yaml may mean another machine by that name meanwhile.
    const { serial, guid } = known.machine;
    const isIt =
      (named.serial !== undefined && named.serial === serial) ||
      (named.guid !== undefined && named.guid === guid);
    return isIt ? named : undefined;
  }
}
