/** Who gets which address and boots what: blades their own, other machines one of their network's pool. */
import { planBootFile } from '../boot/plan.ts';
import type { BladerootEvent } from '../events/catalogue.ts';
import { inSubnet } from '../net/ipv4.ts';
import type { ReleaseBlade } from '../release/statement.ts';
import { scriptUrl } from '../serve/boot-http.ts';
import type { DhcpDecision, DhcpOffer, DhcpQuestion, Silence } from '../serve/dhcp-answer.ts';
import { netbootKind } from '../serve/dhcp-client.ts';
import type { DhcpEvent } from '../serve/dhcp.ts';
import type { AddressPool } from '../state/leases.ts';
import { networkAt, type FleetNetwork, type FleetNetworks } from './fleet-networks.ts';

/** Blades keep their address for good; an hour brings a changed router or resolver to them soon enough. */
const BLADE_LEASE_SECONDS = 3600;
/** Firmware and iPXE keep an address for moments; what they load asks again, and has the same one. */
const BOOT_LEASE_SECONDS = 120;
/** A machine that waits to be adopted. */
const WAITING_LEASE_SECONDS = 1800;

/** The part of LeaseRepository that decides. */
export interface PoolLeases {
  remembered(mac: string, network: string): string | undefined;
  offer(mac: string, pool: AddressPool, wanted?: string): string | undefined;
  isFree(address: string, mac: string, pool: AddressPool): boolean;
}

/** What is known where a question came in. */
export interface WireFacts {
  /** This machine's addresses on that wire, and on all wires. */
  addresses: readonly [string, ...string[]];
  allAddresses: readonly string[];
  fleet: FleetNetworks;
  /** The blade with that MAC. */
  bladeOf(mac: string): ReleaseBlade | undefined;
  leases: PoolLeases;
  /** The root's base URL at one of its addresses. */
  urlAt(address: string): string;
}

/** What a machine gets; undefined for one that is none of our business. */
export function decideDhcp(question: DhcpQuestion, facts: WireFacts): DhcpDecision {
  const blade = facts.bladeOf(question.mac);
  const candidates = networksAsked(question, facts);
  if (candidates.length === 0 && question.link !== undefined) return unknownRelay(question.link);
  const serving = candidates.filter(({ mode }) => mode !== 'off');
  const network =
    blade === undefined
      ? serving.find(({ mode, pool }) => mode === 'proxy' || pool !== undefined)
      : candidates.find(({ range }) => inSubnet(blade.address, range));
  if (network === undefined) {
    return blade === undefined || serving.length === 0 ? undefined : awayFromHome(blade, serving, facts);
  }
  if (network.mode === 'off') return undefined;

  const server = facts.addresses.find((address) => inSubnet(address, network.range)) ?? facts.addresses[0];
  const bootFile = bootFileOf(question, blade?.name ?? UNKNOWN_MACHINE, facts.urlAt(server));
  if (network.mode === 'proxy' || question.asks === 'boot') {
    if (bootFile === undefined) return undefined;
    const delay = network.proxyDelay;
    return { proxy: true, bootFile, server, ...(delay !== undefined && { delay }) };
  }
  const base = { server, ...(bootFile !== undefined && { bootFile }) };
  if (blade !== undefined) return { ...base, ...bladeOffer(blade) };
  return lend(question, network, facts, base);
}

/** Whether this root is to be the only DHCP server where the question came in. */
export function shouldBeAlone(question: DhcpQuestion, facts: WireFacts): boolean {
  const candidates = networksAsked(question, facts);
  return candidates.length > 0 && candidates.every(({ mode }) => mode === 'server');
}

/** What the DHCP server tells, as an event of the fleet; undefined for what is no machine's doing. */
export function dhcpEvent(
  event: DhcpEvent,
  bladeOf: (mac: string) => ReleaseBlade | undefined,
): BladerootEvent | undefined {
  if (event.type === 'dhcp.malformed' || event.type === 'dhcp.failed') return undefined;
  const blade = bladeOf(event.mac)?.name;
  const message = messageOf(event);
  const other = event.type === 'dhcp.other-server' ? { address: event.address } : {};
  return {
    type: event.type,
    mac: event.mac,
    ...('client' in event ? { client: kindOf(event.client) } : {}),
    ...other,
    ...(blade === undefined ? {} : { blade }),
    ...(message === undefined ? {} : { message }),
  };
}

/** iPXE says that it is a PXEClient too, so it is looked at first. */
function kindOf({ isIpxe, vendorClass }: Pick<DhcpQuestion, 'isIpxe' | 'vendorClass'>): 'firmware' | 'ipxe' | 'system' {
  if (isIpxe) return 'ipxe';
  return /^(PXE|HTTP)Client/.test(vendorClass ?? '') ? 'firmware' : 'system';
}

function messageOf(event: DhcpEvent): string | undefined {
  if (event.type === 'dhcp.other-server') {
    return `${event.address} is a DHCP server too, and this machine took its offer; stop it, or write mode: proxy for this network`;
  }
  if ('reason' in event) return event.reason;
  if (event.type === 'dhcp.decline' && event.address !== undefined) {
    return `${event.address} is in use by another machine`;
  }
  return 'address' in event ? event.address : undefined;
}

/** The name under which the root serves machines that are no blades. */
const UNKNOWN_MACHINE = 'unknown';

/** The network that a relay names, or that a machine says it is in already, else those of the wire. */
function networksAsked({ link, has }: DhcpQuestion, facts: WireFacts): FleetNetwork[] {
  const { networks } = facts.fleet;
  if (link !== undefined) return networks.filter(({ range }) => inSubnet(link, range));
  // Who renews through a router is on another wire than the one on which the packet comes.
  const said = has === undefined ? undefined : networkAt(networks, has);
  if (said !== undefined) return [said];
  return networks.filter(({ range }) => facts.addresses.some((address) => inSubnet(address, range)));
}

function bladeOffer({
  address,
  netmask,
  gateway,
  dns,
  domain,
  name,
}: ReleaseBlade): Omit<DhcpOffer, 'server'> {
  return {
    address,
    subnetMask: netmask,
    dns,
    hostName: name,
    leaseSeconds: BLADE_LEASE_SECONDS,
    ...(gateway === undefined ? {} : { router: gateway }),
    ...(domain === undefined ? {} : { domainName: domain }),
  };
}

function bootFileOf(question: DhcpQuestion, name: string, root: string): string | undefined {
  const file = planBootFile(question);
  switch (file.kind) {
    case 'script':
      return scriptUrl(root, name);
    case 'url':
      return `${root}${file.path}`;
    case 'loader':
      return file.name;
    case 'none':
      return undefined;
  }
}

function lend(
  question: DhcpQuestion,
  network: FleetNetwork,
  facts: WireFacts,
  base: { server: string; bootFile?: string },
): DhcpDecision {
  if (network.pool === undefined) return undefined;
  const { name, gateway, dns, domain, range } = network;
  const pool: AddressPool = {
    network: name,
    ...network.pool,
    isTaken: (address) =>
      address === question.link ||
      address === range.network ||
      address === range.broadcast ||
      facts.fleet.reserved.has(address) ||
      facts.allAddresses.includes(address),
  };
  const found =
    question.asks === 'inform' ? { address: question.has } : lendAddress(question, pool, facts.leases);
  if (found === 'not-ours' || (found.address === undefined && question.asks === 'inform')) return undefined;
  if (found.address === undefined) {
    const { from, to } = network.pool;
    const reason = `the pool ${from} to ${to} of network ${name} has no free address; widen it in fleet.yaml`;
    return { silence: 'exhausted', about: name, reason };
  }
  const isBooting = question.isIpxe || netbootKind(question) !== undefined;
  return {
    ...base,
    address: found.address,
    subnetMask: range.mask,
    dns,
    leaseSeconds: isBooting ? BOOT_LEASE_SECONDS : WAITING_LEASE_SECONDS,
    lentBy: name,
    ...(found.refuses === true && { refuses: true }),
    ...(gateway === undefined ? {} : { router: gateway }),
    ...(domain === undefined ? {} : { domainName: domain }),
  };
}

/** No address: there is none left. `not-ours`: it asks for one that it may have from another server. */
function lendAddress(
  { asks, mac, wants, namesUs }: DhcpQuestion,
  pool: AddressPool,
  leases: PoolLeases,
): { address: string | undefined; refuses?: boolean } | 'not-ours' {
  if (asks === 'discover') return { address: leases.offer(mac, pool, wants) };
  const wasOurs = wants !== undefined && leases.remembered(mac, pool.network) === wants;
  if (!namesUs && !wasOurs) return 'not-ours';
  // This may be an offer of ours from before a restart: where nobody else has the address, it stands.
  if (wants !== undefined && leases.isFree(wants, mac, pool)) return { address: wants };
  // Ours to lend once, and somebody's own since: the machine is to ask anew.
  return { address: leases.offer(mac, pool), refuses: true };
}

function unknownRelay(link: string): Silence {
  const reason = `a relay asks for the subnet of ${link}, which is in none of the fleet's networks; add it to networks in fleet.yaml`;
  return { silence: 'foreign', about: link, reason };
}

function awayFromHome({ name, address }: ReleaseBlade, here: FleetNetwork[], facts: WireFacts): Silence {
  const home = networkAt(facts.fleet.networks, address);
  const at = here.map((network) => `${network.name} (${network.subnet})`).join(', ');
  const belongs = home === undefined ? address : `${address} in network ${home.name} (${home.subnet})`;
  const reason = `blade ${name} asks from network ${at}, its address is ${belongs}; plug it in there, or change its address in fleet.yaml`;
  return { silence: 'foreign', about: `${name} ${at}`, reason };
}
