/** From a fleet to all that one blade of it is. Pure. */
import ipaddr from 'ipaddr.js';
import { BladerootError } from '../errors.ts';
import { didYouMean } from './nearest.ts';
import { addedBy, layList, without } from './list-edit.ts';
import type { Disks } from './disk-fields.ts';
import type { Blade, Fleet, Health, Network, Settings } from './schema.ts';
import type { Path } from './source.ts';

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
  return resolve(fleet, name, bladeOf(fleet, name));
}

function bladeOf(fleet: Fleet, name: string): Blade {
  const blade = Object.hasOwn(fleet.blades, name) ? fleet.blades[name] : undefined;
  if (blade !== undefined) return blade;
  const known = Object.keys(fleet.blades);
  throw new BladerootError(
    'UNKNOWN_BLADE',
    `fleet ${fleet.name} has no blade ${name}${didYouMean(name, known)}`,
    { hint: `list its ${known.length} blades with "bladeroot blade list"` },
  );
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
  return fleet.networks[networkNameAt(fleet, address)] ?? fleet.network;
}

export function networkNameAt(fleet: Pick<Fleet, 'network' | 'networks'>, address: string): string {
  const at = ipaddr.IPv4.parse(address);
  const found = networksOf(fleet).find(([, { subnet }]) => at.match(ipaddr.IPv4.parseCIDR(subnet)));
  return found?.[0] ?? MAIN_NETWORK;
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
    ...layers(fleet, name, blade)
      .map(([, layer]) => layer)
      .reduce(mergeSettings, NO_SETTINGS),
  };
}

/**
 * The layers that a blade is made of, and where each stands, the furthest first: the defaults, its profiles, itself.
 * @throws BladerootError `UNKNOWN_BLADE`
 */
export function layersOf(fleet: Fleet, name: string): [Path, Settings][] {
  return layers(fleet, name, bladeOf(fleet, name));
}

/** As `layersOf`, also of a fleet of which parts are missing. */
export function layers(
  fleet: Pick<Fleet, 'defaults' | 'profiles'>,
  name: string,
  blade: Settings & Pick<Blade, 'profile'>,
): [Path, Settings][] {
  const profiles = profileChain(fleet, blade.profile ?? []);
  return [
    [['defaults'], fleet.defaults],
    ...profiles.flatMap((profile): [Path, Settings][] => {
      const layer = fleet.profiles[profile];
      return layer === undefined ? [] : [[['profiles', profile], layer]];
    }),
    [['blades', name], blade],
  ];
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

/** What a blade has before any layer is laid. */
export const NO_SETTINGS: Settings = {
  overlays: [],
  services: { start: [], stop: [] },
  kernelArgs: [],
  vars: {},
  disks: { use: {}, partitions: {} },
  boot: {},
  health: { command: [], http: [], tcp: [], unit: [], mayFail: [] },
  ssh: { authorizedKeys: [] },
};

/**
 * Lays the settings of one layer over those of all layers below it, by the rules of docs/fleet.md: lists are joined, and
 * their items may have signs (list-edit.ts); a service is started or stopped as the nearest layer that names it says;
 * variables that are maps are merged by key; of everything else the nearest value counts.
 * @param below what the layers below come to; in it are no signs
 */
export function mergeSettings(below: Settings, layer: Settings): Settings {
  const { services, pin = below.pin, root = below.root, bootOrder = below.bootOrder } = layer;
  const { timezone = below.timezone, rootPassword = below.rootPassword } = layer;
  return {
    overlays: layList(below.overlays, layer.overlays),
    services: {
      start: layList(without(below.services.start, addedBy(services.stop)), services.start),
      stop: layList(without(below.services.stop, addedBy(services.start)), services.stop),
    },
    kernelArgs: layList(below.kernelArgs, layer.kernelArgs),
    vars: mergeVars(below.vars, layer.vars),
    disks: mergeDisks(below.disks, layer.disks),
    boot: { ...below.boot, ...layer.boot },
    health: mergeHealth(below.health, layer.health),
    ssh: { authorizedKeys: layList(below.ssh.authorizedKeys, layer.ssh.authorizedKeys) },
    ...(pin === undefined ? {} : { pin }),
    ...(root === undefined ? {} : { root }),
    ...(bootOrder === undefined ? {} : { bootOrder }),
    ...(timezone === undefined ? {} : { timezone }),
    ...(rootPassword === undefined ? {} : { rootPassword }),
  };
}

/** By key, those of each partition likewise; a partition of which a nearer layer says more keeps its place. */
function mergeDisks(below: Disks, layer: Disks): Disks {
  const partitions = Object.entries(layer.partitions).map(([name, partition]) => [
    name,
    { ...below.partitions[name], ...partition },
  ]);
  return {
    ...below,
    ...layer,
    use: { ...below.use, ...layer.use },
    partitions: { ...below.partitions, ...Object.fromEntries(partitions) },
  };
}

function mergeHealth(below: Health, layer: Health): Health {
  return {
    ...below,
    ...layer,
    command: layList(below.command, layer.command),
    http: layList(below.http, layer.http),
    tcp: layList(below.tcp, layer.tcp),
    unit: layList(below.unit, layer.unit),
    mayFail: layList(below.mayFail, layer.mayFail),
  };
}

type Vars = Settings['vars'];

function mergeVars(below: Vars, layer: Vars): Vars {
  const changed = Object.entries(layer).map(([name, value]): [string, Vars[string]] => {
    const there = Object.hasOwn(below, name) ? below[name] : undefined;
    return [name, isMap(there) && isMap(value) ? mergeVars(there, value) : value];
  });
  return { ...below, ...Object.fromEntries(changed) };
}

function isMap(value: Vars[string] | undefined): value is Vars {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
