/** What stands in single DHCP options: RFC 2132, PXE 2.1, RFC 4578 (network boot), RFC 3004 (user class), iPXE. */
import { ipv4FromBytes, writeIpv4 } from './ipv4.ts';

/** Codes, named after RFC 2132 and its successors. */
export const DHCP_OPTION = {
  subnetMask: 1,
  router: 3,
  dns: 6,
  hostName: 12,
  domainName: 15,
  broadcastAddress: 28,
  vendorSpecific: 43,
  requestedAddress: 50,
  leaseTime: 51,
  overload: 52,
  messageType: 53,
  serverIdentifier: 54,
  message: 56,
  maxMessageSize: 57,
  renewalTime: 58,
  rebindingTime: 59,
  vendorClass: 60,
  clientIdentifier: 61,
  tftpServerName: 66,
  bootFileName: 67,
  userClass: 77,
  relayAgent: 82,
  clientArch: 93,
  clientGuid: 97,
  subnetSelection: 118,
  ipxe: 175,
} as const;

/** Values of option 53. */
export const DHCP_MESSAGE = {
  discover: 1,
  offer: 2,
  request: 3,
  decline: 4,
  ack: 5,
  nak: 6,
  release: 7,
  inform: 8,
} as const;

/** Sub-options that stand in option 82 (RFC 3527, RFC 5107). */
export const RELAY_OPTION = { linkSelection: 5, serverIdentifierOverride: 11 } as const;

/** Sub-options that stand in option 175; the whole list is in iPXE's `src/include/ipxe/dhcp.h` and `features.h`. */
export const IPXE_OPTION = { featureHttp: 0x13, noPxeDhcp: 0xb0 } as const;

/** Sub-option 43.6 with bit 3: no discovery, just fetch the boot file (PXE 2.1 §2.2.3). */
export const PXE_BOOT_DIRECTLY = encodeSubOptions(new Map([[6, Buffer.of(8)]]));

const NOTHING = Buffer.alloc(0);

export function uint8(value: number): Buffer {
  return Buffer.of(value);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Addresses, one after the other. */
export function addresses(list: string[]): Buffer {
  const bytes = Buffer.allocUnsafe(4 * list.length);
  for (const [index, address] of list.entries()) writeIpv4(bytes, 4 * index, address);
  return bytes;
}

/** Text with a NUL behind it, for options 66 and 67: old ROMs take whatever follows for a part of the name. */
export function terminated(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}

/** The address in an option; undefined when there is none. */
export function readAddress(value: Buffer | undefined): string | undefined {
  return value !== undefined && value.length >= 4 ? ipv4FromBytes(value) : undefined;
}

/** The text in an option, without the NULs that some clients put behind it. */
export function readOptionText(value: Buffer | undefined): string | undefined {
  if (value === undefined) return undefined;
  let end = value.length;
  while (end > 0 && value[end - 1] === 0) end--;
  return value.toString('utf8', 0, end);
}

/** Option 57 and its like. */
export function readUint16(value: Buffer | undefined): number | undefined {
  return value !== undefined && value.length >= 2 ? value.readUInt16BE(0) : undefined;
}

/** Option 93: a list of 16-bit architecture types (RFC 4578 §2.1). */
export function readArchitectures(value: Buffer = NOTHING): number[] {
  const list: number[] = [];
  for (let at = 0; at + 2 <= value.length; at += 2) list.push(value.readUInt16BE(at));
  return list;
}

/**
 * Option 77. RFC 3004 wants a list with a length byte before each entry; iPXE and others write plain text. It is a list
 * where the length bytes come out even, else plain text.
 */
export function readUserClass(value: Buffer = NOTHING): string[] {
  const list: string[] = [];
  let at = 0;
  for (let length = value[at] ?? 0; length > 0 && at + 1 + length <= value.length; length = value[at] ?? 0) {
    list.push(value.toString('utf8', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return at === value.length ? list : [readOptionText(value) ?? ''];
}

/** Option 97: 0 and the machine's 16-byte GUID (RFC 4578 §2.3). Anything else is as good as none. */
export function isGuid(value: Buffer | undefined): value is Buffer {
  return value !== undefined && value.length === 17 && value[0] === 0;
}

/** The GUID of option 97 in the usual form; its first three parts are little-endian on the wire. */
export function readGuid(value: Buffer | undefined): string | undefined {
  if (!isGuid(value)) return undefined;
  const swapped = (from: number, to: number): string =>
    Buffer.from(value.subarray(from, to)).reverse().toString('hex');
  const plain = (from: number, to: number): string => value.toString('hex', from, to);
  return [swapped(1, 5), swapped(5, 7), swapped(7, 9), plain(9, 11), plain(11, 17)].join('-');
}

/** Options inside an option (43, 175): the first of each code. What is cut off at the end is left out. */
export function readSubOptions(value: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at < value.length;) {
    const code = value.readUInt8(at++);
    if (code === 255) break;
    if (code === 0) continue;
    const length = value[at++];
    if (length === undefined || at + length > value.length) break;
    if (!found.has(code)) found.set(code, value.subarray(at, at + length));
    at += length;
  }
  return found;
}

/** Options inside an option, with an end mark, without which some ROMs do not stop reading. */
export function encodeSubOptions(options: Map<number, Buffer>): Buffer {
  const parts = [...options].flatMap(([code, value]) => [Buffer.of(code, value.length), value]);
  return Buffer.concat([...parts, Buffer.of(255)]);
}
