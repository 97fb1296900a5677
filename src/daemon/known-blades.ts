/** Which blade a MAC address belongs to. */
import type { ReleaseBlade, ReleaseStatement } from '../release/statement.ts';
import type { MachineRepository } from '../state/machines.ts';

/**
 * A blade is known by the MAC that fleet.yaml gives it; one that fleet.yaml names by serial number or GUID, by the MAC of
 * the machine that has said hello as that blade. A machine that has only asked DHCP is nobody.
 */
export class KnownBlades {
  readonly #release: () => ReleaseStatement;
  readonly #machines: MachineRepository;
  readonly #tables = new WeakMap<ReleaseStatement, Table>();

  constructor(release: () => ReleaseStatement, machines: MachineRepository) {
    this.#release = release;
    this.#machines = machines;
  }

  of(mac: string): ReleaseBlade | undefined {
    const { byMac, others } = this.#table();
    const blade = byMac.get(mac);
    if (blade !== undefined || others.size === 0) return blade;
    const known = this.#machines.get(mac);
    const named = known?.blade === undefined ? undefined : others.get(known.blade);
    if (known === undefined || named === undefined) return undefined;
    // fleet.yaml may mean another machine by that name meanwhile.
    const { serial, guid } = known.machine;
    const isIt =
      (named.serial !== undefined && named.serial === serial) ||
      (named.guid !== undefined && named.guid === guid);
    return isIt ? named : undefined;
  }

  #table(): Table {
    const release = this.#release();
    let table = this.#tables.get(release);
    if (table === undefined) {
      table = tableOf(release);
      this.#tables.set(release, table);
    }
    return table;
  }
}

interface Table {
  byMac: Map<string, ReleaseBlade>;
  /** Blades without a MAC, by name. */
  others: Map<string, ReleaseBlade>;
}

function tableOf({ blades }: ReleaseStatement): Table {
  return {
    byMac: new Map(blades.flatMap((blade) => (blade.mac === undefined ? [] : [[blade.mac, blade]]))),
    others: new Map(blades.flatMap((blade) => (blade.mac === undefined ? [[blade.name, blade]] : []))),
  };
}
