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
import { messageType, netbootKind, type DhcpClient } from './dhcp-client.ts';

/** What is answered, and under which addresses the server speaks. */
export interface Asked {
  request: DhcpPacket;
  client: DhcpClient;
  /** This machine's address on the wire. */
  server: string;
  /** By what the client is to know the server: the relay's own address where that wants it so (RFC 5107). */
  identifier: string;
}

/** OFFER or ACK: the fields of RFC 2131 §4.3.1, table 3. */
export function grant(asked: Asked, offer: DhcpOffer, type: number): DhcpPacket {
  const { request } = asked;
  const inform = messageType(request) === DHCP_MESSAGE.inform;
  // In a DISCOVER, and beside option 50, `ciaddr` is not an address that the client already answers at.
  const hasAddress =
    messageType(request) !== DHCP_MESSAGE.discover && !request.options.has(DHCP_OPTION.requestedAddress);
  const bootFile = offer.bootFile ?? '';
  const nextServer = offer.nextServer ?? asked.server;
  const options = firstOptions(asked, type);
  if (!inform) addLease(options, offer.leaseSeconds);
  addNetwork(options, offer);
  // Option 60 without 43 reads as "ask port 4011" to EDK2, which fails when nobody answers there.
  if (bootFile !== '') addBoot(options, asked.client, bootFile, nextServer, true);
  addEchoed(options, request);
  const reply = replyTo(request, options);
  addBootFields(reply, bootFile, nextServer);
  if (hasAddress) reply.ciaddr = request.ciaddr;
  if (!inform) reply.yiaddr = offer.address;
  return reply;
}

/**
 * What a proxy says, and what anyone is told who asks port 4011: what to boot, and no address (PXE 2.1 §2.2.3). A UEFI client
 * is not told to boot directly, which makes it come to port 4011; menus in option 43 are broken in the field.
 */
export function bootReply(asked: Asked, offer: ProxyOffer, type: number): DhcpPacket {
  const { request, client } = asked;
  const { bootFile, nextServer = asked.server } = offer;
  const options = firstOptions(asked, type);
  addBoot(options, client, bootFile, nextServer, isBios(client));
  addEchoed(options, request);
  const reply = replyTo(request, options);
  addBootFields(reply, bootFile, nextServer);
  reply.ciaddr = request.ciaddr;
  return reply;
}

export function refusal(asked: Asked, reason: string): DhcpPacket {
  const { request } = asked;
  const options = firstOptions(asked, DHCP_MESSAGE.nak);
  options.set(DHCP_OPTION.message, Buffer.from(reason));
  addEchoed(options, request);
  const reply = replyTo(request, options);
  // A relay is to broadcast it: the client has no address that would be right there (RFC 2131 §4.3.2).
  if (request.giaddr !== UNSET) reply.flags |= BROADCAST_FLAG;
  return reply;
}

const UNSET = '0.0.0.0';
/** Bytes of the header's `file` field, less the NUL behind the name. */
const LONGEST_FILE = 127;

type Options = Map<number, Buffer>;

function replyTo(request: DhcpPacket, options: Options): DhcpPacket {
  return {
    op: 2,
    htype: request.htype,
    hlen: request.hlen,
    hops: 0,
    xid: request.xid,
    secs: 0,
    flags: request.flags,
    ciaddr: UNSET,
    yiaddr: UNSET,
    siaddr: UNSET,
    giaddr: request.giaddr,
    chaddr: request.chaddr,
    sname: '',
    file: '',
    options,
  };
}

function addBootFields(reply: DhcpPacket, bootFile: string, nextServer: string): void {
  if (bootFile === '') return;
  reply.siaddr = nextServer;
  // Also in the header: U-Boot's proxy code reads only that. A longer name (a URL) stands in option 67 alone.
  if (Buffer.byteLength(bootFile) <= LONGEST_FILE) reply.file = bootFile;
}

function firstOptions({ identifier }: Asked, type: number): Options {
  const options: Options = new Map();
  options.set(DHCP_OPTION.messageType, uint8(type));
  options.set(DHCP_OPTION.serverIdentifier, addresses([identifier]));
  return options;
}

/** T1 and T2 are RFC 2131's defaults (§4.4.5); said aloud, because clients differ in what they assume. */
function addLease(options: Options, seconds: number): void {
  options.set(DHCP_OPTION.leaseTime, uint32(seconds));
  options.set(DHCP_OPTION.renewalTime, uint32(Math.floor(seconds / 2)));
  options.set(DHCP_OPTION.rebindingTime, uint32(Math.floor((seconds * 7) / 8)));
}

function addNetwork(options: Options, offer: DhcpOffer): void {
  options.set(DHCP_OPTION.subnetMask, addresses([offer.subnetMask]));
  const { broadcast } = subnetOf(offer.address, offer.subnetMask);
  options.set(DHCP_OPTION.broadcastAddress, addresses([broadcast]));
  if (offer.router !== undefined) options.set(DHCP_OPTION.router, addresses([offer.router]));
  if (offer.dns.length > 0) options.set(DHCP_OPTION.dns, addresses(offer.dns));
  if (offer.hostName !== undefined) options.set(DHCP_OPTION.hostName, Buffer.from(offer.hostName));
  if (offer.domainName !== undefined) options.set(DHCP_OPTION.domainName, Buffer.from(offer.domainName));
}

function addBoot(
  options: Options,
  client: DhcpClient,
  bootFile: string,
  nextServer: string,
  directly: boolean,
): void {
  options.set(DHCP_OPTION.tftpServerName, terminated(nextServer));
  options.set(DHCP_OPTION.bootFileName, terminated(bootFile));
  const kind = netbootKind(client);
  // UEFI HTTP boot believes no offer without its own class in it.
  if (kind !== undefined) options.set(DHCP_OPTION.vendorClass, Buffer.from(kind));
  if (kind === 'PXEClient' && directly) options.set(DHCP_OPTION.vendorSpecific, PXE_BOOT_DIRECTLY);
  if (client.isIpxe) options.set(DHCP_OPTION.ipxe, NO_PROXY_WANTED);
}

const NO_PROXY_WANTED = encodeSubOptions(new Map([[IPXE_OPTION.noPxeDhcp, uint8(1)]]));

/** Also who does not say what it is, as RFC 4578's predecessors did. */
function isBios({ arch }: DhcpClient): boolean {
  return arch.length === 0 || arch[0] === 0;
}

/**
 * What the client or the relay must find again: RFC 6842, RFC 4578 §2.3, RFC 3011, and RFC 3046 §2.2 (last, and as it
 * was).
 */
function addEchoed(options: Options, request: DhcpPacket): void {
  for (const code of ECHOED) {
    const value = request.options.get(code);
    if (value === undefined || (code === DHCP_OPTION.clientGuid && !isGuid(value))) continue;
    options.set(code, value);
  }
}

const ECHOED = [
  DHCP_OPTION.clientIdentifier,
  DHCP_OPTION.clientGuid,
  DHCP_OPTION.subnetSelection,
  DHCP_OPTION.relayAgent,
];
