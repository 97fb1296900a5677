/** What templates can name: `blade`, `profile`, `vars`, `network`, and what is the same for all blades of a fleet. Pure. */
import { networkAt, networksOf, type ResolvedBlade } from '../fleet/resolve.ts';
import type { Fleet, Network } from '../fleet/schema.ts';
import type { TemplateData } from './template.ts';

/** The snapshot that a release is made of: what templates can name as `release.snapshot`. */
export interface ReleaseData {
  snapshot: Readonly<{ id: string; tree: string }>;
}

const OWN_NAMES: ReadonlySet<string> = new Set(['blade', 'profile', 'vars', 'network']);

/** Whether what templates can name by this is the same for all blades. */
export function isShared(name: string): boolean {
  return !OWN_NAMES.has(name);
}

/** The data of a fleet's templates: what all blades have in common is made once. */
export class FleetData {
  readonly #fleet: Fleet;
  readonly #blades: ReadonlyMap<string, Record<string, unknown>>;
  readonly #shared: TemplateData;

  constructor(fleet: Fleet, blades: readonly ResolvedBlade[], release: ReleaseData | undefined) {
    this.#fleet = fleet;
    this.#blades = new Map(blades.map((blade) => [blade.name, bladeData(blade)]));
    const networks = networksOf(fleet).map(([name, network]) => [name, networkData(network)] as const);
    this.#shared = {
      blades: [...this.#blades.values()],
      fleet: { name: fleet.name, network: networkData(fleet.network) },
      networks: Object.fromEntries(networks),
      ...(release === undefined ? {} : { release }),
    };
  }

  of(blade: ResolvedBlade): TemplateData {
    const { prefixLength, netmask, vars, profiles } = blade;
    const profile = profiles.at(-1);
    return {
      blade: this.#blades.get(blade.name) ?? bladeData(blade),
      profile: profile === undefined ? null : { name: profile, ...this.#fleet.profiles[profile] },
      network: { ...networkData(networkAt(this.#fleet, blade.address)), prefixLength, netmask },
      vars,
      ...this.#shared,
    };
  }
}

function bladeData(blade: ResolvedBlade): Record<string, unknown> {
  const identity = { mac: null, serial: null, guid: null, recipient: null };
  return {
    gateway: null,
    domain: null,
    ...identity,
    root: 'disk',
    ...blade,
    disks: { slot: null, ...blade.disks },
  };
}

function networkData(network: Network): Record<string, unknown> {
  return { gateway: null, domain: null, ...network };
}
