/**
 * DHCP packets: bytes to object and back (RFC 2131 §2, RFC 2132, long options as in RFC 3396).
 * Nothing here knows sockets or policy; what stands in single options is in `dhcp-options.ts`.
 */
import { BladerootError } from '../errors.ts';
import { DHCP_OPTION } from './dhcp-options.ts';
import { ipv4FromNumber, writeIpv4 } from './ipv4.ts';

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
 * Reads a packet. Options that were split or that overload `file` and `sname` (option 52) come out whole; others, and
 * `chaddr`, are views of `bytes`.
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
  const overload = joined(parts.get(DHCP_OPTION.overload) ?? [])[0] ?? 0;
  const overloadsFile = (overload & 1) !== 0;
  const overloadsSname = (overload & 2) !== 0;
  // `file` before `sname`: the order in which RFC 3396 §5 joins the parts of a split option.
  if (overloadsFile) readOptions(file, parts);
  if (overloadsSname) readOptions(sname, parts);
  parts.delete(DHCP_OPTION.overload);
  const options = new Map<number, Buffer>();
  for (const [code, values] of parts) options.set(code, joined(values));

  return {
    op,
    htype: buffer.readUInt8(1),
    hlen,
    hops: buffer.readUInt8(3),
    xid: buffer.readUInt32BE(4),
    secs: buffer.readUInt16BE(8),
    flags: buffer.readUInt16BE(10),
    ciaddr: addressAt(buffer, 12),
    yiaddr: addressAt(buffer, 16),
    siaddr: addressAt(buffer, 20),
    giaddr: addressAt(buffer, 24),
    chaddr: buffer.subarray(28, 44),
    sname: overloadsSname ? '' : readText(sname),
    file: overloadsFile ? '' : readText(file),
    options,
  };
}

/**
 * Writes a packet, at least 300 bytes long, because in-kernel clients drop shorter ones. With `maxSize` (bytes of the
 * packet without IP and UDP headers) options that no longer fit are left out, the later ones first, though never
 * option 82: so options stand in the order of their importance.
 * @throws BladerootError `DHCP_UNENCODABLE` when a field does not fit in its place
 */
export function encodeDhcp(packet: DhcpPacket, { maxSize = Infinity }: { maxSize?: number } = {}): Buffer {
  const options = optionsWithin(packet.options, maxSize - OPTIONS_AT - 1);
  let length = OPTIONS_AT + 1;
  for (const [, value] of options) length += encodedLength(value);
  const bytes = Buffer.allocUnsafe(Math.max(SHORTEST, length)).fill(0);
  bytes.writeUInt8(packet.op, 0);
  bytes.writeUInt8(packet.htype, 1);
  bytes.writeUInt8(packet.hlen, 2);
  bytes.writeUInt8(packet.hops, 3);
  bytes.writeUInt32BE(packet.xid, 4);
  bytes.writeUInt16BE(packet.secs, 8);
  bytes.writeUInt16BE(packet.flags, 10);
  writeIpv4(bytes, 12, packet.ciaddr);
  writeIpv4(bytes, 16, packet.yiaddr);
  writeIpv4(bytes, 20, packet.siaddr);
  writeIpv4(bytes, 24, packet.giaddr);
  if (packet.chaddr.length !== 16) throw unencodable(`chaddr has ${packet.chaddr.length} bytes, not 16`);
  bytes.set(packet.chaddr, 28);
  writeText(bytes.subarray(44, 108), 'sname', packet.sname);
  writeText(bytes.subarray(108, 236), 'file', packet.file);
  bytes.writeUInt32BE(MAGIC_COOKIE, 236);
  let at = OPTIONS_AT;
  for (const [code, value] of options) at = writeOption(bytes, at, code, value);
  bytes.writeUInt8(END, at);
  return bytes;
}

const OPTIONS_AT = 240;
const MAGIC_COOKIE = 0x63825363;
const SHORTEST = 300;
const LONGEST_PART = 255;
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

function joined(values: Buffer[]): Buffer {
  const [first] = values;
  return first !== undefined && values.length === 1 ? first : Buffer.concat(values);
}

function addressAt(buffer: Buffer, at: number): string {
  const number = buffer.readUInt32BE(at);
  return number === 0 ? '0.0.0.0' : ipv4FromNumber(number);
}

function optionsWithin(options: Map<number, Buffer>, room: number): [code: number, value: Buffer][] {
  const relayAgent = options.get(DHCP_OPTION.relayAgent);
  let left = room - (relayAgent === undefined ? 0 : encodedLength(relayAgent));
  const fitting: [number, Buffer][] = [];
  for (const option of options) {
    const [code, value] = option;
    if (code !== DHCP_OPTION.relayAgent) {
      const length = encodedLength(value);
      if (length > left) continue;
      left -= length;
    }
    fitting.push(option);
  }
  return fitting;
}

/** Of an option with its code, in parts of up to 255 bytes. */
function encodedLength({ length }: Buffer): number {
  return length + 2 * Math.max(1, Math.ceil(length / LONGEST_PART));
}

/** Returns where the next one begins. */
function writeOption(bytes: Buffer, start: number, code: number, value: Buffer): number {
  if (code === PAD || code === END || code === DHCP_OPTION.overload || code < 0 || code > 255) {
    throw unencodable(`${code} is no option to be written`);
  }
  let end = start;
  for (let at = 0; at === 0 || at < value.length; at += LONGEST_PART) {
    const part = value.length <= LONGEST_PART ? value : value.subarray(at, at + LONGEST_PART);
    end = bytes.writeUInt8(code, end);
    end = bytes.writeUInt8(part.length, end);
    bytes.set(part, end);
    end += part.length;
  }
  return end;
}

function readText(field: Buffer): string {
  if (field[0] === 0) return '';
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end === -1 ? field.length : end);
}

function writeText(field: Buffer, name: string, text: string): void {
  if (text === '') return;
  if (Buffer.byteLength(text) > field.length || text.includes('\0')) {
    throw unencodable(`${name} ${JSON.stringify(text)} does not fit in ${field.length} bytes`);
  }
  field.write(text);
}

function malformed(why: string): BladerootError {
  return new BladerootError('DHCP_MALFORMED', `not a DHCP packet: ${why}`);
}

function unencodable(why: string): BladerootError {
  return new BladerootError('DHCP_UNENCODABLE', `a DHCP packet cannot be written: ${why}`);
}
