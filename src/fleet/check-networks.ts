/** What is wrong within one network of a fleet, and between several. Pure. */
import ipaddr from 'ipaddr.js';
import type { Fault, Surroundings } from './check.ts';
import type { Draft } from './schema.ts';
import type { Path } from './source.ts';

type DraftNetwork = Draft['network'];

/** The networks of a draft, and where each stands; the main one first. */
export function networksOfDraft(draft: Draft): [Path, DraftNetwork][] {
  return [
    [['network'], draft.network],
    ...Object.entries(draft.networks).map(([name, network]): [Path, DraftNetwork] => [
      ['networks', name],
      network,
    ]),
  ];
}

export function checkNetworks(draft: Draft, around: Surroundings): Fault[] {
  const networks = networksOfDraft(draft);
  return [
    ...networks.flatMap(([path, network]) => checkNetwork(path, network)),
    ...checkOverlaps(networks, around),
    // The release calls `network` so.
    ...(Object.hasOwn(draft.networks, 'main')
      ? [{ path: ['networks', 'main'], message: 'main is the name of `network`; write another name' }]
      : []),
  ];
}

export interface Subnet {
  text: string;
  first: string;
  last: string;
  has(address: string): boolean;
  /** Why no host can have this address; undefined when one can. */
  refuses(address: string): string | undefined;
}

export function subnetOf(text: string): Subnet {
  const first = ipaddr.IPv4.networkAddressFromCIDR(text).toString();
  const last = ipaddr.IPv4.broadcastAddressFromCIDR(text).toString();
  const subnet = ipaddr.IPv4.parseCIDR(text);
  const has = (address: string): boolean => ipaddr.IPv4.parse(address).match(subnet);
  return {
    text,
    first,
    last,
    has,
    refuses(address) {
      if (!has(address)) return `is not in the subnet ${text}`;
      if (address === first) return `is the address of the subnet ${text} itself`;
      return address === last ? `is the broadcast address of the subnet ${text}` : undefined;
    },
  };
}

/** Why an address is no host's in its subnet, and what to write; undefined when it is one. */
export function outside(subnet: Subnet, address: string): string | undefined {
  const refused = subnet.refuses(address);
  return refused && `${address} ${refused}; write an address between ${subnet.first} and ${subnet.last}`;
}

/** A subnet of /31 or /32 has no room for a root and a blade beside network and broadcast address. */
const LONGEST_PREFIX = 30;
/** What is remembered of leases is bounded by this. */
const LARGEST_POOL = 65_536;

function checkNetwork(path: Path, network: DraftNetwork): Fault[] {
  const { subnet: text, gateway } = network;
  if (text === undefined) return checkUse(path, network);
  const faults: Fault[] = [];
  const prefixLength = ipaddr.IPv4.parseCIDR(text)[1];
  const subnet = subnetOf(text);
  if (prefixLength > LONGEST_PREFIX) {
    faults.push({
      path: [...path, 'subnet'],
      message: `${text} has no room for blades; write a prefix length of at most ${LONGEST_PREFIX}`,
    });
  } else if (!text.startsWith(`${subnet.first}/`)) {
    const message = `${text} does not start at its first address; write ${subnet.first}/${prefixLength}`;
    faults.push({ path: [...path, 'subnet'], message });
  }
  const refused = gateway === undefined ? undefined : outside(subnet, gateway);
  if (refused !== undefined) faults.push({ path: [...path, 'gateway'], message: refused });
  return [...faults, ...checkPool(path, network, subnet), ...checkUse(path, network)];
}

function checkPool(path: Path, { pool }: DraftNetwork, subnet: Subnet): Fault[] {
  if (pool === undefined) return [];
  const faults = (['from', 'to'] as const).flatMap((end) => {
    const refused = outside(subnet, pool[end]);
    return refused === undefined ? [] : [{ path: [...path, 'pool', end], message: refused }];
  });
  const size = numberOf(pool.to) - numberOf(pool.from) + 1;
  if (size < 1) {
    const message = `${pool.to} is before ${pool.from}; write the lower address in from, the higher in to`;
    faults.push({ path: [...path, 'pool', 'to'], message });
  } else if (size > LARGEST_POOL) {
    const message = `has ${size} addresses; write a range of at most ${LARGEST_POOL}`;
    faults.push({ path: [...path, 'pool'], message });
  }
  return faults;
}

/** What is said of a network in which nobody will ask for it. */
function checkUse(path: Path, { mode, pool, proxyDelay }: DraftNetwork): Fault[] {
  const faults: Fault[] = [];
  if (pool !== undefined && (mode ?? 'server') !== 'server') {
    const message = `is of no use with mode ${mode}: another server gives the addresses; take it out, or write mode: server`;
    faults.push({ path: [...path, 'pool'], message });
  }
  if (proxyDelay !== undefined && mode !== 'proxy') {
    const message = 'is of no use but with mode proxy; take it out, or write mode: proxy';
    faults.push({ path: [...path, 'proxyDelay'], message });
  }
  return faults;
}

/** Each network that overlaps an earlier one. */
function checkOverlaps(networks: [Path, DraftNetwork][], { place }: Surroundings): Fault[] {
  const before: [Path, Subnet][] = [];
  return networks.flatMap(([path, { subnet: text }]) => {
    if (text === undefined) return [];
    const subnet = subnetOf(text);
    const other = before.find(([, earlier]) => earlier.has(subnet.first) || subnet.has(earlier.first));
    before.push([path, subnet]);
    if (other === undefined) return [];
    const [at, { text: theirs }] = other;
    const first = place([...at, 'subnet'], [...path, 'subnet']);
    const message = `${text} overlaps ${theirs} of ${at.join('.')} (${first}); each network needs addresses of its own`;
    return [{ path: [...path, 'subnet'], message }];
  });
}

function numberOf(address: string): number {
  return ipaddr.IPv4.parse(address).octets.reduce((sum, octet) => sum * 256 + octet, 0);
}
