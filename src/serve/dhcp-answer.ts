/**
 * What a DHCP server says to one packet, as a pure function: who gets what is the policy's affair, how that is said in
 * DHCP and PXE is told here. Fixed addresses only, so there is nothing to remember from one packet to the next.
 */
import type { DhcpPacket } from '../net/dhcp.ts';
import {
  addresses,
  DHCP_MESSAGE,
  DHCP_OPTION,
  encodeSubOptions,
  IPXE_OPTION,
  isGuid,
  PXE_BOOT_DIRECTLY,
  readAddress,
  readArchitectures,
  readGuid,
  readOptionText,
  readSubOptions,
  readUint16,
  readUserClass,
  terminated,
  uint32,
  uint8,
} from '../net/dhcp-options.ts';
import { subnetOf } from '../net/ipv4.ts';
import { formatMac } from '../net/mac.ts';

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
}

/** What a machine says of itself. */
export interface DhcpClient {
  mac: string;
  /** Option 93 (RFC 4578 §2.1); empty when absent. */
  arch: number[];
  userClass: string[];
  vendorClass?: string;
  /** Option 97, as the machine's own firmware prints it. */
  guid?: string;
  isIpxe: boolean;
  /** Whether iPXE says that it was built with HTTP. */
  ipxeHasHttp: boolean;
  requestedAddress?: string;
  /** Seconds for which it has been asking. */
  secs: number;
}

/** Who gets what. Undefined: not ours, stay silent. */
export type DhcpPolicy = (client: DhcpClient) => DhcpOffer | undefined;

/** What is sent back. */
export type DhcpReply =
  | { kind: 'offer' | 'ack'; reply: DhcpPacket; offer: DhcpOffer }
  | { kind: 'nak'; reply: DhcpPacket; reason: string };

/**
 * `unknown`: the policy does not know the client. `noted`: nothing to say (DECLINE, RELEASE). `ignored`: not meant for us.
 */
export type DhcpAnswer = DhcpReply | { kind: 'unknown' | 'noted' | 'ignored' };

/**
 * The answer to a request that came to the server at `server` (its address on that wire): RFC 2131 §4.3.
 */
export function answerDhcp(request: DhcpPacket, server: string, policy: DhcpPolicy): DhcpAnswer {
  const identifier = readAddress(request.options.get(DHCP_OPTION.serverIdentifier));
  // Roots share wires. An answer to what was said to another one, above all a NAK, makes iPXE start over.
  if (request.op !== 1 || (identifier !== undefined && identifier !== server)) return { kind: 'ignored' };
  const type = messageType(request);
  if (type === DHCP_MESSAGE.decline || type === DHCP_MESSAGE.release) return { kind: 'noted' };
  if (type === undefined || !QUESTIONS.has(type)) return { kind: 'ignored' };
  const offer = policy(dhcpClient(request));
  if (offer === undefined) return { kind: 'unknown' };

  if (type === DHCP_MESSAGE.discover) {
    return { kind: 'offer', offer, reply: grant(request, server, offer, DHCP_MESSAGE.offer) };
  }
  if (type === DHCP_MESSAGE.request) {
    const wanted = wantedAddress(request);
    if (wanted !== offer.address) {
      const reason = `${wanted ?? 'no address'} is not yours, ${offer.address} is`;
      return { kind: 'nak', reason, reply: refusal(request, server, reason) };
    }
  }
  return { kind: 'ack', offer, reply: grant(request, server, offer, DHCP_MESSAGE.ack) };
}

/** What the packet's sender says of itself. */
export function dhcpClient(request: DhcpPacket): DhcpClient {
  const { options } = request;
  const userClass = readUserClass(options.get(DHCP_OPTION.userClass));
  const ipxe = readSubOptions(options.get(DHCP_OPTION.ipxe));
  const vendorClass = readOptionText(options.get(DHCP_OPTION.vendorClass));
  const guid = readGuid(options.get(DHCP_OPTION.clientGuid));
  const requestedAddress = readAddress(options.get(DHCP_OPTION.requestedAddress));
  return {
    // Never the client identifier: ROM, iPXE and initrd of one machine each send another one.
    mac: formatMac(request.chaddr.subarray(0, request.hlen)),
    arch: readArchitectures(options.get(DHCP_OPTION.clientArch)),
    userClass,
    ...(vendorClass !== undefined && { vendorClass }),
    ...(guid !== undefined && { guid }),
    isIpxe: options.has(DHCP_OPTION.ipxe) || userClass.includes('iPXE'),
    ipxeHasHttp: (ipxe.get(IPXE_OPTION.featureHttp)?.[0] ?? 0) !== 0,
    ...(requestedAddress !== undefined && { requestedAddress }),
    secs: request.secs,
  };
}

/** Option 53; undefined in BOOTP packets. */
export function messageType(packet: DhcpPacket): number | undefined {
  return packet.options.get(DHCP_OPTION.messageType)?.[0];
}

/** The longest packet the client takes (option 57), in bytes without IP and UDP headers. */
export function maxReplySize(request: DhcpPacket): number {
  const asked = readUint16(request.options.get(DHCP_OPTION.maxMessageSize)) ?? MIN_DATAGRAM;
  return Math.min(Math.max(asked, MIN_DATAGRAM), ETHERNET_MTU) - IP_AND_UDP_HEADERS;
}

const QUESTIONS: Set<number> = new Set([DHCP_MESSAGE.discover, DHCP_MESSAGE.request, DHCP_MESSAGE.inform]);

/** What every host must be able to take (RFC 2131 §2); option 57 may not ask for less. */
const MIN_DATAGRAM = 576;
const ETHERNET_MTU = 1500;
const IP_AND_UDP_HEADERS = 28;
const UNSET = '0.0.0.0';
/** Bytes of the header's `file` field, less the NUL behind the name. */
const LONGEST_FILE = 127;

/** What a REQUEST asks for: option 50 in SELECTING and INIT-REBOOT, `ciaddr` in RENEWING and REBINDING (§4.3.2). */
function wantedAddress(request: DhcpPacket): string | undefined {
  const requested = readAddress(request.options.get(DHCP_OPTION.requestedAddress));
  return requested ?? (request.ciaddr === UNSET ? undefined : request.ciaddr);
}

/** OFFER or ACK: the fields of RFC 2131 §4.3.1, table 3. */
function grant(request: DhcpPacket, server: string, offer: DhcpOffer, type: number): DhcpPacket {
  const inform = messageType(request) === DHCP_MESSAGE.inform;
  // In a DISCOVER, and beside option 50, `ciaddr` is not an address that the client already answers at.
  const hasAddress =
    messageType(request) !== DHCP_MESSAGE.discover && !request.options.has(DHCP_OPTION.requestedAddress);
  const nextServer = offer.nextServer ?? server;
  const bootFile = offer.bootFile ?? '';
  const options = new Map([
    [DHCP_OPTION.messageType, uint8(type)],
    [DHCP_OPTION.serverIdentifier, addresses([server])],
    ...(inform ? [] : leaseOptions(offer.leaseSeconds)),
    ...networkOptions(offer),
    ...(bootFile === '' ? [] : bootOptions(request, bootFile, nextServer)),
    ...echoedOptions(request),
  ]);
  return {
    ...replyHeader(request),
    ciaddr: hasAddress ? request.ciaddr : UNSET,
    yiaddr: inform ? UNSET : offer.address,
    siaddr: bootFile === '' ? UNSET : nextServer,
    // Also in the header: U-Boot's proxy code reads only that. A longer name (a URL) stands in option 67 alone.
    file: Buffer.byteLength(bootFile) <= LONGEST_FILE ? bootFile : '',
    options,
  };
}

function refusal(request: DhcpPacket, server: string, reason: string): DhcpPacket {
  const options = new Map([
    [DHCP_OPTION.messageType, uint8(DHCP_MESSAGE.nak)],
    [DHCP_OPTION.serverIdentifier, addresses([server])],
    [DHCP_OPTION.message, Buffer.from(reason)],
    ...echoedOptions(request),
  ]);
  return { ...replyHeader(request), options };
}

function replyHeader(request: DhcpPacket): Omit<DhcpPacket, 'options'> {
  const { htype, hlen, xid, flags, giaddr, chaddr } = request;
  const empty = { hops: 0, secs: 0, ciaddr: UNSET, yiaddr: UNSET, siaddr: UNSET, sname: '', file: '' };
  return { op: 2, htype, hlen, xid, flags, giaddr, chaddr, ...empty };
}

type Options = [code: number, value: Buffer][];

/** T1 and T2 are RFC 2131's defaults (§4.4.5); said aloud, because clients differ in what they assume. */
function leaseOptions(seconds: number): Options {
  return [
    [DHCP_OPTION.leaseTime, uint32(seconds)],
    [DHCP_OPTION.renewalTime, uint32(Math.floor(seconds / 2))],
    [DHCP_OPTION.rebindingTime, uint32(Math.floor((seconds * 7) / 8))],
  ];
}

function networkOptions(offer: DhcpOffer): Options {
  const options: Options = [
    [DHCP_OPTION.subnetMask, addresses([offer.subnetMask])],
    [DHCP_OPTION.broadcastAddress, addresses([subnetOf(offer.address, offer.subnetMask).broadcast])],
  ];
  if (offer.router !== undefined) options.push([DHCP_OPTION.router, addresses([offer.router])]);
  if (offer.dns.length > 0) options.push([DHCP_OPTION.dns, addresses(offer.dns)]);
  if (offer.hostName !== undefined) options.push([DHCP_OPTION.hostName, Buffer.from(offer.hostName)]);
  if (offer.domainName !== undefined) options.push([DHCP_OPTION.domainName, Buffer.from(offer.domainName)]);
  return options;
}

function bootOptions(request: DhcpPacket, bootFile: string, nextServer: string): Options {
  const client = dhcpClient(request);
  const options: Options = [
    [DHCP_OPTION.tftpServerName, terminated(nextServer)],
    [DHCP_OPTION.bootFileName, terminated(bootFile)],
  ];
  if (client.vendorClass?.startsWith('PXEClient') === true) {
    // Option 60 without 43 reads as "ask port 4011" to EDK2, which fails when nobody answers there.
    options.push([DHCP_OPTION.vendorClass, Buffer.from('PXEClient')]);
    options.push([DHCP_OPTION.vendorSpecific, PXE_BOOT_DIRECTLY]);
  }
  if (client.isIpxe) {
    options.push([DHCP_OPTION.ipxe, encodeSubOptions(new Map([[IPXE_OPTION.noPxeDhcp, uint8(1)]]))]);
  }
  return options;
}

/** What the client or the relay must find again: RFC 6842, RFC 4578 §2.3, and RFC 3046 §2.2 (last, and as it was). */
function echoedOptions({ options }: DhcpPacket): Options {
  const clientIdentifier = options.get(DHCP_OPTION.clientIdentifier);
  const guid = options.get(DHCP_OPTION.clientGuid);
  const relayAgent = options.get(DHCP_OPTION.relayAgent);
  const echoed: Options = [];
  if (clientIdentifier !== undefined) echoed.push([DHCP_OPTION.clientIdentifier, clientIdentifier]);
  if (isGuid(guid)) echoed.push([DHCP_OPTION.clientGuid, guid]);
  if (relayAgent !== undefined) echoed.push([DHCP_OPTION.relayAgent, relayAgent]);
  return echoed;
}
