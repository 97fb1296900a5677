/**
 * What a DHCP server says to one packet, as a pure function: who gets what is the policy's affair, how that is said in
 * DHCP and PXE is told here and in dhcp-reply.ts.
 */
import type { DhcpPacket } from '../net/dhcp.ts';
import {
  DHCP_MESSAGE,
  DHCP_OPTION,
  readAddress,
  readSubOptions,
  readUint16,
  RELAY_OPTION,
} from '../net/dhcp-options.ts';
import { dhcpClient, messageType, netbootKind, type DhcpClient } from './dhcp-client.ts';
import { bootReply, grant, refusal, type Asked } from './dhcp-reply.ts';

/** What one machine is to get. */
export interface DhcpOffer {
  address: string;
  subnetMask: string;
  router?: string;
  dns: string[];
  hostName?: string;
  domainName?: string;
  leaseSeconds: number;
  /** The name of a file on TFTP, or an http URL. */
  bootFile?: string;
  /** Where TFTP is; the DHCP server itself when left out. */
  nextServer?: string;
  /** By which of its own addresses the server speaks; its first when left out. */
  server?: string;
  /** The network out of whose pool the address is lent. Left out: it is the machine's own for good. */
  lentBy?: string;
  /** An address that is lent may be refused as well, since it is this server that lent the machine another. */
  refuses?: boolean;
}

/** What a proxy tells a machine that has its address from elsewhere. */
export interface ProxyOffer {
  proxy: true;
  bootFile: string;
  nextServer?: string;
  server?: string;
  /** Milliseconds to wait before the answer. */
  delay?: number;
}

/** Why a machine gets no answer, when that is worth telling. */
export interface Silence {
  silence: 'foreign' | 'exhausted';
  /** Of which it is enough to hear now and then: the same for alike reasons. */
  about: string;
  reason: string;
}

export type DhcpDecision = DhcpOffer | ProxyOffer | Silence | undefined;

/** A machine and what it asks for. */
export interface DhcpQuestion extends DhcpClient {
  /** `boot`: only what to boot, on port 4011. */
  asks: 'discover' | 'request' | 'inform' | 'boot';
  /** An address in the subnet that the question is about, as a relay says it; undefined: the wire it came in on. */
  link?: string;
  /** The address that the machine says it has (`ciaddr`). */
  has?: string;
  /** The address that it wants: option 50, or in a REQUEST also `ciaddr`. */
  wants?: string;
  /** Whether it named this server, so that it answers one of our offers. */
  namesUs: boolean;
}

/** Who gets what. Undefined: not ours, stay silent. */
export type DhcpPolicy = (question: DhcpQuestion) => DhcpDecision;

/** What a server knows of itself where a packet came in. */
export interface DhcpFacts {
  /** This machine's addresses on that wire, the one by which clients know it first. */
  addresses: readonly [string, ...string[]];
  /** 4011 is where firmware asks what to boot, once it has an address. */
  port: 67 | 4011;
}

/** What is sent back. */
export type DhcpReply =
  | { kind: 'offer' | 'ack'; reply: DhcpPacket; offer: DhcpOffer | ProxyOffer }
  | { kind: 'nak'; reply: DhcpPacket; reason: string };

/**
 * `unknown`: the policy does not know the client. `ignored`: not meant for us. `declined`, `released`: nothing to say, and
 * the address may be lent to others, later or now. `other-server`: the client has taken an offer of that server.
 */
export type DhcpAnswer =
  | DhcpReply
  | { kind: 'unknown' | 'ignored' }
  | { kind: 'silent'; silence: Silence }
  | { kind: 'declined' | 'released'; address: string | undefined }
  | { kind: 'other-server'; address: string; question: DhcpQuestion };

/** The answer to a request of a client: RFC 2131 §4.3, PXE 2.1 §2.2. */
export function answerDhcp(
  request: DhcpPacket,
  facts: DhcpFacts,
  policy: DhcpPolicy,
  client = dhcpClient(request),
): DhcpAnswer {
  if (request.op !== 1 || request.hlen !== ETHERNET || request.hops > MOST_HOPS) return { kind: 'ignored' };
  const type = messageType(request);
  const asks = type === undefined ? undefined : QUESTIONS.get(type);
  if (facts.port === 4011)
    return asks === undefined ? { kind: 'ignored' } : answerBoot(request, client, facts, policy);

  const identifier = readAddress(request.options.get(DHCP_OPTION.serverIdentifier));
  const isOurs =
    identifier === undefined ||
    facts.addresses.includes(identifier) ||
    identifier === relayOption(request, RELAY_OPTION.serverIdentifierOverride);
  // Roots share wires. An answer to what was said to another one, above all a NAK, makes iPXE start over.
  if (!isOurs) {
    if (type !== DHCP_MESSAGE.request) return { kind: 'ignored' };
    return { kind: 'other-server', address: identifier, question: questionOf(request, client, 'request') };
  }
  if (type === DHCP_MESSAGE.decline) {
    return { kind: 'declined', address: readAddress(request.options.get(DHCP_OPTION.requestedAddress)) };
  }
  if (type === DHCP_MESSAGE.release) return { kind: 'released', address: request.ciaddr };
  if (asks === undefined) return { kind: 'ignored' };

  const question = questionOf(request, client, asks);
  const offer = policy(question);
  if (offer === undefined) return { kind: 'unknown' };
  if ('silence' in offer) return { kind: 'silent', silence: offer };
  const asked = askedOf(request, client, facts, offer);
  if ('proxy' in offer) {
    // Its REQUEST is for the server that gave it the address; it comes to port 4011, or has all that it needs.
    if (asks !== 'discover' || netbootKind(question) === undefined) return { kind: 'ignored' };
    return { kind: 'offer', offer, reply: bootReply(asked, offer, DHCP_MESSAGE.offer) };
  }
  if (asks === 'discover') {
    return { kind: 'offer', offer, reply: grant(asked, offer, DHCP_MESSAGE.offer) };
  }
  if (asks === 'request' && question.wants !== offer.address) {
    // Who comes back to the wire with an address that is not of ours may have it from another server.
    const isAuthority = offer.lentBy === undefined || question.namesUs || offer.refuses === true;
    if (!isAuthority) return { kind: 'ignored' };
    const reason = `${question.wants ?? 'no address'} is not yours, ${offer.address} is`;
    return { kind: 'nak', reason, reply: refusal(asked, reason) };
  }
  return { kind: 'ack', offer, reply: grant(asked, offer, DHCP_MESSAGE.ack) };
}

/** On port 4011: what to boot, for whoever boots from the network, and never an address. */
function answerBoot(
  request: DhcpPacket,
  client: DhcpClient,
  facts: DhcpFacts,
  policy: DhcpPolicy,
): DhcpAnswer {
  const question = questionOf(request, client, 'boot');
  if (netbootKind(question) === undefined) return { kind: 'ignored' };
  const offer = policy(question);
  if (offer === undefined) return { kind: 'unknown' };
  if ('silence' in offer) return { kind: 'silent', silence: offer };
  const { bootFile, nextServer } = offer;
  if (bootFile === undefined) return { kind: 'ignored' };
  const told: ProxyOffer = { proxy: true, bootFile, ...(nextServer !== undefined && { nextServer }) };
  const reply = bootReply(askedOf(request, client, facts, offer), told, DHCP_MESSAGE.ack);
  return { kind: 'ack', offer: told, reply };
}

/** The longest packet the client takes (option 57), in bytes without IP and UDP headers. */
export function maxReplySize(request: DhcpPacket): number {
  const asked = readUint16(request.options.get(DHCP_OPTION.maxMessageSize)) ?? MIN_DATAGRAM;
  return Math.min(Math.max(asked, MIN_DATAGRAM), ETHERNET_MTU) - IP_AND_UDP_HEADERS;
}

const QUESTIONS = new Map<number, 'discover' | 'request' | 'inform'>([
  [DHCP_MESSAGE.discover, 'discover'],
  [DHCP_MESSAGE.request, 'request'],
  [DHCP_MESSAGE.inform, 'inform'],
]);

/** Bytes of a MAC. */
const ETHERNET = 6;
/** Relays that send to each other in a circle count up to this (RFC 1542 §4.1.1). */
const MOST_HOPS = 16;
/** What every host must be able to take (RFC 2131 §2); option 57 may not ask for less. */
const MIN_DATAGRAM = 576;
const ETHERNET_MTU = 1500;
const IP_AND_UDP_HEADERS = 28;
const UNSET = '0.0.0.0';

function questionOf(request: DhcpPacket, client: DhcpClient, asks: DhcpQuestion['asks']): DhcpQuestion {
  const has = asks === 'discover' || request.ciaddr === UNSET ? undefined : request.ciaddr;
  // Option 50 in SELECTING and INIT-REBOOT, `ciaddr` in RENEWING and REBINDING (RFC 2131 §4.3.2).
  const wants = client.requestedAddress ?? has;
  const link = linkOf(request);
  return {
    ...client,
    asks,
    ...(link !== undefined && { link }),
    ...(has !== undefined && { has }),
    ...(wants !== undefined && { wants }),
    namesUs: request.options.has(DHCP_OPTION.serverIdentifier),
  };
}

/** Relays may ask for another subnet than the one that they can be reached in (RFC 3011, RFC 3527). */
function linkOf(request: DhcpPacket): string | undefined {
  const selected =
    readAddress(request.options.get(DHCP_OPTION.subnetSelection)) ??
    relayOption(request, RELAY_OPTION.linkSelection);
  return selected ?? (request.giaddr === UNSET ? undefined : request.giaddr);
}

function relayOption({ options }: DhcpPacket, code: number): string | undefined {
  const relayAgent = options.get(DHCP_OPTION.relayAgent);
  return relayAgent === undefined ? undefined : readAddress(readSubOptions(relayAgent).get(code));
}

function askedOf(
  request: DhcpPacket,
  client: DhcpClient,
  facts: DhcpFacts,
  offer: { server?: string },
): Asked {
  const server = offer.server ?? facts.addresses[0];
  const identifier = relayOption(request, RELAY_OPTION.serverIdentifierOverride) ?? server;
  return { request, client, server, identifier };
}
