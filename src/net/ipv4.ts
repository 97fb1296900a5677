/** IPv4 addresses as text and as bytes, and the arithmetic of subnets. */
import ipaddr from 'ipaddr.js';
import { BladerootError } from '../errors.ts';

/** Whether the text is a plain address in four decimal parts, such as `10.0.0.1`. */
export function isIpv4(text: string): boolean {
  return !Number.isNaN(ipv4ToNumber(text));
}

/**
 * The four bytes of an address.
 * @throws BladerootError `BAD_ADDRESS`
 */
export function ipv4ToBytes(text: string): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(addressNumber(text));
  return bytes;
}

/**
 * Writes the four bytes of an address into others.
 * @throws BladerootError `BAD_ADDRESS`
 */
export function writeIpv4(bytes: Buffer, at: number, text: string): void {
  bytes.writeUInt32BE(addressNumber(text), at);
}

/** The text of an address's first four bytes. */
export function ipv4FromBytes(bytes: Uint8Array): string {
  return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
}

/** An address as a whole number from 0 to 2³²-1; NaN for what is none. By hand: a server does this for every packet. */
export function ipv4ToNumber(text: string): number {
  let number = 0;
  let parts = 0;
  let part = 0;
  let digits = 0;
  for (let at = 0; at <= text.length; at++) {
    const digit = at === text.length ? END_OF_PART : text.charCodeAt(at) - DIGIT_0;
    if (digit === END_OF_PART && digits > 0) {
      number = number * 256 + part;
      parts++;
      part = 0;
      digits = 0;
    } else {
      // No leading zeros: some read such a part as octal.
      const isFollowing = digits > 0 && part === 0;
      if (digit < 0 || digit > 9 || isFollowing) return Number.NaN;
      part = part * 10 + digit;
      digits++;
      if (part > 255) return Number.NaN;
    }
  }
  return parts === 4 ? number : Number.NaN;
}

const DIGIT_0 = 48;
/** The dot, counted from the digit 0. */
const END_OF_PART = -2;

export function ipv4FromNumber(number: number): string {
  return `${number >>> 24}.${(number >>> 16) & 255}.${(number >>> 8) & 255}.${number & 255}`;
}

export interface Subnet {
  /** The lowest address, such as `10.0.0.0`. */
  network: string;
  /** The highest one, such as `10.0.0.255`. */
  broadcast: string;
  /** Such as `255.255.255.0`. */
  mask: string;
  /** Bits of the mask, 0 to 32. */
  prefix: number;
}

/**
 * The subnet that `10.0.0.7/24` stands in.
 * @throws BladerootError `BAD_ADDRESS`
 */
export function parseSubnet(cidr: string): Subnet {
  if (!ipaddr.IPv4.isValidCIDRFourPartDecimal(cidr)) throw notAnAddress(cidr, '10.0.0.0/24');
  const [address, prefix] = ipaddr.IPv4.parseCIDR(cidr);
  return subnetWith(ipv4ToNumber(address.toString()), prefix);
}

/**
 * The subnet that an address with its mask stands in.
 * @throws BladerootError `BAD_ADDRESS`, also for a mask with holes
 */
export function subnetOf(address: string, mask: string): Subnet {
  if (!isIpv4(address)) throw notAnAddress(address, '10.0.0.1');
  const hosts = ~ipv4ToNumber(mask) >>> 0;
  if (!isIpv4(mask) || (hosts & (hosts + 1)) !== 0) throw notAnAddress(mask, '255.255.255.0');
  return subnetWith(ipv4ToNumber(address), Math.clz32(hosts));
}

/** Whether the address lies in the subnet. */
export function inSubnet(address: string, { network, prefix }: Subnet): boolean {
  const number = ipv4ToNumber(address);
  return !Number.isNaN(number) && (number ^ ipv4ToNumber(network)) >>> 0 < 2 ** (32 - prefix);
}

function subnetWith(address: number, prefix: number): Subnet {
  const hosts = 2 ** (32 - prefix) - 1;
  return {
    network: ipv4FromNumber((address & ~hosts) >>> 0),
    broadcast: ipv4FromNumber((address | hosts) >>> 0),
    mask: ipv4FromNumber(~hosts >>> 0),
    prefix,
  };
}

function addressNumber(text: string): number {
  const number = ipv4ToNumber(text);
  if (Number.isNaN(number)) throw notAnAddress(text, '10.0.0.1');
  return number;
}

function notAnAddress(text: string, example: string): BladerootError {
  return new BladerootError('BAD_ADDRESS', `${JSON.stringify(text)} is no IPv4 address, subnet or mask`, {
    hint: `write it as ${example}`,
  });
}
