/**
 * DHCP packets: bytes to object and back (RFC 2131 §2, RFC 2132, long options as in RFC 3396).
 * Nothing here knows sockets or policy; what stands in single options is in `dhcp-options.ts`.
 */
import { BladerootError } from '../errors.ts';
import { DHCP_OPTION } from './dhcp-options.ts';
import { ipv4FromBytes, ipv4ToBytes } from './ipv4.ts';

/** The fields of RFC 2131 §2, under their names there; addresses as text. */
export interface DhcpPacket {
  /** 1 for a request of a client (BOOTREQUEST), 2 for a reply (BOOTREPLY). */
  op: 1 | 2;
  /** 1 for Ethernet. */
  htype: number;
  /** How many bytes of `chaddr` count. */
  hlen: number;
  hops: number;
  xid: number;
  /** Seconds since the client began. */
  secs: number;
  flags: number;
  ciaddr: string;
  yiaddr: string;
  siaddr: string;
  giaddr: string;
  /** Always 16 bytes. */
  chaddr: Buffer;
  sname: string;
  file: string;
  /** By code, in the order they stand in; never pad (0), end (255) or overload (52). */
  options: Map<number, Buffer>;
}

/** The bit of `flags` by which a client asks for broadcast replies. */
export const BROADCAST_FLAG = 0x8000;

/**
 * Reads a packet. Options that were split or that overload `file` and `sname` (option 52) come out whole.
 * @throws BladerootError `DHCP_MALFORMED` and nothing else, whatever the bytes
 */
export function decodeDhcp(bytes: Uint8Array): DhcpPacket {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < OPTIONS_AT) throw malformed(`only ${buffer.length} bytes`);
  if (buffer.readUInt32BE(236) !== MAGIC_COOKIE) throw malformed('no DHCP magic cookie');
  const op = buffer.readUInt8(0);
  if (op !== 1 && op !== 2) throw malformed(`op is ${op}`);
  const hlen = buffer.readUInt8(2);
  if (hlen > 16) throw malformed(`hlen is ${hlen}`);

  const sname = buffer.subarray(44, 108);
  const file = buffer.subarray(108, 236);
  const parts = new Map<number, Buffer[]>();
  readOptions(buffer.subarray(OPTIONS_AT), parts);
  const overload = Buffer.concat(parts.get(DHCP_OPTION.overload) ?? [])[0] ?? 0;
  const overloadsFile = (overload & 1) !== 0;
  const overloadsSname = (overload & 2) !== 0;
  // `file` before `sname`: the order in which RFC 3396 §5 joins the parts of a split option.
  if (overloadsFile) readOptions(file, parts);
  if (overloadsSname) readOptions(sname, parts);
  parts.delete(DHCP_OPTION.overload);

  return {
    op,
    htype: buffer.readUInt8(1),
    hlen,
    hops: buffer.readUInt8(3),
    xid: buffer.readUInt32BE(4),
    secs: buffer.readUInt16BE(8),
    flags: buffer.readUInt16BE(10),
    ciaddr: ipv4FromBytes(buffer.subarray(12)),
    yiaddr: ipv4FromBytes(buffer.subarray(16)),
    siaddr: ipv4FromBytes(buffer.subarray(20)),
    giaddr: ipv4FromBytes(buffer.subarray(24)),
    chaddr: Buffer.from(buffer.subarray(28, 44)),
    sname: overloadsSname ? '' : readText(sname),
    file: overloadsFile ? '' : readText(file),
    options: new Map([...parts].map(([code, values]) => [code, Buffer.concat(values)])),
  };
}

/**
 * Writes a packet, at least 300 bytes long, because in-kernel clients drop shorter ones. With `maxSize` (bytes of the
 * packet without IP and UDP headers) options that no longer fit are left out, the later ones first, though never
 * option 82: so options stand in the order of their importance.
 * @throws BladerootError `DHCP_UNENCODABLE` when a field does not fit in its place
 */
export function encodeDhcp(packet: DhcpPacket, { maxSize = Infinity }: { maxSize?: number } = {}): Buffer {
  const header = Buffer.alloc(OPTIONS_AT);
  header.writeUInt8(packet.op, 0);
  header.writeUInt8(packet.htype, 1);
  header.writeUInt8(packet.hlen, 2);
  header.writeUInt8(packet.hops, 3);
  header.writeUInt32BE(packet.xid, 4);
  header.writeUInt16BE(packet.secs, 8);
  header.writeUInt16BE(packet.flags, 10);
  header.set(ipv4ToBytes(packet.ciaddr), 12);
  header.set(ipv4ToBytes(packet.yiaddr), 16);
  header.set(ipv4ToBytes(packet.siaddr), 20);
  header.set(ipv4ToBytes(packet.giaddr), 24);
  if (packet.chaddr.length !== 16) throw unencodable(`chaddr has ${packet.chaddr.length} bytes, not 16`);
  header.set(packet.chaddr, 28);
  header.set(fieldText('sname', packet.sname, 64), 44);
  header.set(fieldText('file', packet.file, 128), 108);
  header.writeUInt32BE(MAGIC_COOKIE, 236);

  const options = encodeOptions(packet.options, maxSize - OPTIONS_AT - 1);
  const length = OPTIONS_AT + options.length + 1;
  const padding = Buffer.alloc(Math.max(0, SHORTEST - length));
  return Buffer.concat([header, options, Buffer.of(END), padding]);
}

const OPTIONS_AT = 240;
const MAGIC_COOKIE = 0x63825363;
const SHORTEST = 300;
const PAD = 0;
const END = 255;

/** The parts of each option, not joined yet: a datagram of 64 KiB can have 20,000 of one option. */
function readOptions(area: Buffer, options: Map<number, Buffer[]>): void {
  for (let at = 0; at < area.length;) {
    const code = area.readUInt8(at++);
    if (code === END) return;
    if (code === PAD) continue;
    const length = area[at++];
    if (length === undefined || at + length > area.length) throw malformed(`option ${code} is cut off`);
    const value = area.subarray(at, at + length);
    const values = options.get(code);
    if (values === undefined) options.set(code, [value]);
    else values.push(value);
    at += length;
  }
}

function encodeOptions(options: Map<number, Buffer>, room: number): Buffer {
  const relayAgent = options.get(DHCP_OPTION.relayAgent);
  let left = room - (relayAgent === undefined ? 0 : encodeOption(DHCP_OPTION.relayAgent, relayAgent).length);
  const written: Buffer[] = [];
  for (const [code, value] of options) {
    const encoded = encodeOption(code, value);
    if (code !== DHCP_OPTION.relayAgent) {
      if (encoded.length > left) continue;
      left -= encoded.length;
    }
    written.push(encoded);
  }
  return Buffer.concat(written);
}

function encodeOption(code: number, value: Buffer): Buffer {
  if (code === PAD || code === END || code === DHCP_OPTION.overload || code < 0 || code > 255) {
    throw unencodable(`${code} is no option to be written`);
  }
  const parts: Buffer[] = [];
  for (let at = 0; at === 0 || at < value.length; at += 255) {
    const part = value.subarray(at, at + 255);
    parts.push(Buffer.of(code, part.length), part);
  }
  return Buffer.concat(parts);
}

function readText(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end === -1 ? field.length : end);
}

function fieldText(name: string, text: string, room: number): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length > room || bytes.includes(0)) {
    throw unencodable(`${name} ${JSON.stringify(text)} does not fit in ${room} bytes`);
  }
  return bytes;
}

function malformed(why: string): BladerootError {
  return new BladerootError('DHCP_MALFORMED', `not a DHCP packet: ${why}`);
}

function unencodable(why: string): BladerootError {
  return new BladerootError('DHCP_UNENCODABLE', `a DHCP packet cannot be written: ${why}`);
}
