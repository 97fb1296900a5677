/** The packets that a DHCP server sends: how a decision is said in DHCP and PXE. Pure. */
import { BROADCAST_FLAG, type DhcpPacket } from '../net/dhcp.ts';
import {
  addresses,
  DHCP_MESSAGE,
  DHCP_OPTION,
  encodeSubOptions,
  IPXE_OPTION,
  isGuid,
  PXE_BOOT_DIRECTLY,
  terminated,
  uint32,
  uint8,
} from '../net/dhcp-options.ts';
import { subnetOf } from '../net/ipv4.ts';
import type { DhcpOffer, ProxyOffer } from './dhcp-answer.ts';
import { dhcpClient, messageType, netbootKind, type DhcpClient } from './dhcp-client.ts';

/** Under which addresses the server speaks. */
export interface ReplyFrom {
  /** This machine's address on the wire. */
  server: string;
  /** By what the client is to know the server: the relay's own address where that wants it so (RFC 5107). */
  identifier: string;
}

/** OFFER or ACK: the fields of RFC 2131 §4.3.1, table 3. */
export function grant(request: DhcpPacket, from: ReplyFrom, offer: DhcpOffer, type: number): DhcpPacket {
  const inform = messageType(request) === DHCP_MESSAGE.inform;
  // In a DISCOVER, and beside option 50, `ciaddr` is not an address that the client already answers at.
  const hasAddress =
    messageType(request) !== DHCP_MESSAGE.discover && !request.options.has(DHCP_OPTION.requestedAddress);
  const bootFile = offer.bootFile ?? '';
  const nextServer = offer.nextServer ?? from.server;
  const client = dhcpClient(request);
  const options = new Map([
    [DHCP_OPTION.messageType, uint8(type)],
    [DHCP_OPTION.serverIdentifier, addresses([from.identifier])],
    ...(inform ? [] : leaseOptions(offer.leaseSeconds)),
    ...networkOptions(offer),
    // Option 60 without 43 reads as "ask port 4011" to EDK2, which fails when nobody answers there.
    ...(bootFile === '' ? [] : bootOptions(client, bootFile, nextServer, true)),
    ...echoedOptions(request),
  ]);
  return {
    ...replyHeader(request),
    ...bootFields(bootFile, nextServer),
    ciaddr: hasAddress ? request.ciaddr : UNSET,
    yiaddr: inform ? UNSET : offer.address,
    options,
  };
}

/**
 * What a proxy says, and what anyone is told who asks port 4011: what to boot, and no address (PXE 2.1 §2.2.3). A UEFI client
 * is not told to boot directly, which makes it come to port 4011; menus in option 43 are broken in the field.
 */
export function bootReply(request: DhcpPacket, from: ReplyFrom, offer: ProxyOffer, type: number): DhcpPacket {
  const { bootFile, nextServer = from.server } = offer;
  const client = dhcpClient(request);
  const options = new Map([
    [DHCP_OPTION.messageType, uint8(type)],
    [DHCP_OPTION.serverIdentifier, addresses([from.identifier])],
    ...bootOptions(client, bootFile, nextServer, isBios(client)),
    ...echoedOptions(request),
  ]);
  return { ...replyHeader(request), ...bootFields(bootFile, nextServer), ciaddr: request.ciaddr, options };
}

export function refusal(request: DhcpPacket, from: ReplyFrom, reason: string): DhcpPacket {
  const options = new Map([
    [DHCP_OPTION.messageType, uint8(DHCP_MESSAGE.nak)],
    [DHCP_OPTION.serverIdentifier, addresses([from.identifier])],
    [DHCP_OPTION.message, Buffer.from(reason)],
    ...echoedOptions(request),
  ]);
  // A relay is to broadcast it: the client has no address that would be right there (RFC 2131 §4.3.2).
  const flags = request.giaddr === UNSET ? request.flags : request.flags | BROADCAST_FLAG;
  return { ...replyHeader(request), flags, options };
}

const UNSET = '0.0.0.0';
/** Bytes of the header's `file` field, less the NUL behind the name. */
const LONGEST_FILE = 127;

function replyHeader(request: DhcpPacket): Omit<DhcpPacket, 'options'> {
  const { htype, hlen, xid, flags, giaddr, chaddr } = request;
  const empty = { hops: 0, secs: 0, ciaddr: UNSET, yiaddr: UNSET, siaddr: UNSET, sname: '', file: '' };
  return { op: 2, htype, hlen, xid, flags, giaddr, chaddr, ...empty };
}

function bootFields(bootFile: string, nextServer: string): Pick<DhcpPacket, 'siaddr' | 'file'> {
  return {
    siaddr: bootFile === '' ? UNSET : nextServer,
    // Also in the header: U-Boot's proxy code reads only that. A longer name (a URL) stands in option 67 alone.
    file: Buffer.byteLength(bootFile) <= LONGEST_FILE ? bootFile : '',
  };
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

function bootOptions(client: DhcpClient, bootFile: string, nextServer: string, directly: boolean): Options {
  const options: Options = [
    [DHCP_OPTION.tftpServerName, terminated(nextServer)],
    [DHCP_OPTION.bootFileName, terminated(bootFile)],
  ];
  const kind = netbootKind(client);
  // UEFI HTTP boot believes no offer without its own class in it.
  if (kind !== undefined) options.push([DHCP_OPTION.vendorClass, Buffer.from(kind)]);
  if (kind === 'PXEClient' && directly) options.push([DHCP_OPTION.vendorSpecific, PXE_BOOT_DIRECTLY]);
  if (client.isIpxe) {
    options.push([DHCP_OPTION.ipxe, encodeSubOptions(new Map([[IPXE_OPTION.noPxeDhcp, uint8(1)]]))]);
  }
  return options;
}

/** Also who does not say what it is, as RFC 4578's predecessors did. */
function isBios({ arch }: DhcpClient): boolean {
  return arch.length === 0 || arch[0] === 0;
}

/**
 * What the client or the relay must find again: RFC 6842, RFC 4578 §2.3, RFC 3011, and RFC 3046 §2.2 (last, and as it
 * was).
 */
function echoedOptions({ options }: DhcpPacket): Options {
  const echoed: Options = [];
  const echo = (code: number): void => {
    const value = options.get(code);
    if (value !== undefined) echoed.push([code, value]);
  };
  echo(DHCP_OPTION.clientIdentifier);
  if (isGuid(options.get(DHCP_OPTION.clientGuid))) echo(DHCP_OPTION.clientGuid);
  echo(DHCP_OPTION.subnetSelection);
  echo(DHCP_OPTION.relayAgent);
  return echoed;
}
