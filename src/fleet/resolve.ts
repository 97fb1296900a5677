/** From a fleet to all that one blade of it is. Pure. */
import ipaddr from 'ipaddr.js';
import { BladerootError } from '../errors.ts';
import { didYouMean } from './nearest.ts';
import type { Blade, Fleet, Network, Settings } from './schema.ts';

/** A blade with everything that it has from defaults, profiles and itself. */
export interface ResolvedBlade extends Settings {
  name: string;
  /** Lower case, with colons. A blade that has none is known by its serial number or GUID. */
  mac?: string;
  serial?: string;
  guid?: string;
  /** Its accepted identity (age); without one it gets no secrets. */
  recipient?: string;
  address: string;
  prefixLength: number;
  /** Such as 255.255.255.0. */
  netmask: string;
  gateway?: string;
  dns: string[];
  domain?: string;
  /** The chain of its profiles, the furthest ancestor first. */
  profiles: string[];
}

/**
 * Resolves one blade.
 * @throws BladerootError `UNKNOWN_BLADE`
 */
export function resolveBlade(fleet: Fleet, name: string): ResolvedBlade {
  const blade = Object.hasOwn(fleet.blades, name) ? fleet.blades[name] : undefined;
  if (blade === undefined) {
    const known = Object.keys(fleet.blades);
    throw new BladerootError(
      'UNKNOWN_BLADE',
      `fleet ${fleet.name} has no blade ${name}${didYouMean(name, known)}`,
      {
        hint: `list its ${known.length} blades with "bladeroot blade list"`,
      },
    );
  }
  return resolve(fleet, name, blade);
}

/** Resolves all blades, in the order of the fleet. */
export function resolveFleet(fleet: Fleet): ResolvedBlade[] {
  return Object.entries(fleet.blades).map(([name, blade]) => resolve(fleet, name, blade));
}

/** The name by which `network` goes among the fleet's networks. */
export const MAIN_NETWORK = 'main';

/** All networks by name, the main one first. */
export function networksOf(fleet: Pick<Fleet, 'network' | 'networks'>): [name: string, network: Network][] {
  return [[MAIN_NETWORK, fleet.network], ...Object.entries(fleet.networks)];
}

/** The network whose subnet has the address; a checked fleet has one for each blade. */
export function networkAt(fleet: Pick<Fleet, 'network' | 'networks'>, address: string): Network {
  const at = ipaddr.IPv4.parse(address);
  const found = networksOf(fleet).find(([, { subnet }]) => at.match(ipaddr.IPv4.parseCIDR(subnet)));
  return found?.[1] ?? fleet.network;
}

function resolve(fleet: Fleet, name: string, blade: Blade): ResolvedBlade {
  const { subnet, gateway, dns, domain } = networkAt(fleet, blade.address);
  const prefixLength = ipaddr.IPv4.parseCIDR(subnet)[1];
  const profiles = profileChain(fleet, blade.profile ?? []);
  return {
    name,
    ...(blade.mac === undefined ? {} : { mac: blade.mac }),
    ...(blade.serial === undefined ? {} : { serial: blade.serial }),
    ...(blade.guid === undefined ? {} : { guid: blade.guid }),
    ...(blade.recipient === undefined ? {} : { recipient: blade.recipient }),
    address: blade.address,
    prefixLength,
    netmask: ipaddr.IPv4.subnetMaskFromPrefixLength(prefixLength).toString(),
    ...(gateway === undefined ? {} : { gateway }),
    dns,
    ...(domain === undefined ? {} : { domain }),
    profiles,
    ...[
      fleet.defaults,
      ...profiles.flatMap((profile) => fleet.profiles[profile] ?? []),
      blade,
    ].reduce<Settings>(mergeSettings, NO_SETTINGS),
  };
}

/** Profiles with all that they extend, each once, ancestors before those that extend them. Ends on cycles, too. */
export function profileChain(fleet: Pick<Fleet, 'profiles'>, names: readonly string[]): string[] {
  const chain = new Set<string>();
  const visited = new Set<string>();
  const visit = (name: string): void => {
    if (visited.has(name)) return;
    visited.add(name);
    for (const parent of fleet.profiles[name]?.extends ?? []) visit(parent);
    chain.add(name);
  };
  for (const name of names) visit(name);
  return [...chain];
}

/** The identity of mergeSettings. */
export const NO_SETTINGS: Settings = {
  overlays: [],
  services: { start: [], stop: [] },
  kernelArgs: [],
  vars: {},
  disk: {},
  boot: {},
};

/**
 * Lays the settings of a nearer layer over those of a further one. Lists are joined, and what stands in both counts where
 * it stands last; a service is started or stopped as the nearest layer that names it says; of variables, disk
 * and boot fields the nearest value counts, whole.
 */
export function mergeSettings(further: Settings, nearer: Settings): Settings {
  return {
    overlays: joined(further.overlays, nearer.overlays),
    services: {
      start: joined(without(further.services.start, nearer.services.stop), nearer.services.start),
      stop: joined(without(further.services.stop, nearer.services.start), nearer.services.stop),
    },
    kernelArgs: joined(further.kernelArgs, nearer.kernelArgs),
    vars: { ...further.vars, ...nearer.vars },
    ...pinOf(nearer.pin ?? further.pin),
    disk: { ...further.disk, ...nearer.disk },
    boot: { ...further.boot, ...nearer.boot },
  };
}

function pinOf(pin: Settings['pin']): Pick<Settings, 'pin'> {
  return pin === undefined ? {} : { pin };
}

function joined(further: string[], nearer: string[]): string[] {
  return [...without(further, nearer), ...new Set(nearer)];
}

function without(names: string[], taken: string[]): string[] {
  return names.filter((name) => !taken.includes(name));
}
