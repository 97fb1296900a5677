/** IPv4 addresses as text and as bytes, and the arithmetic of subnets. */
import ipaddr from 'ipaddr.js';
import { BladerootError } from '../errors.ts';

/** Whether the text is a plain address in four decimal parts, such as `10.0.0.1`. */
export function isIpv4(text: string): boolean {
  return ADDRESS.test(text);
}

const PART = '(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const ADDRESS = new RegExp(`^${PART}([.]${PART}){3}$`);

/**
 * The four bytes of an address.
 * @throws BladerootError `BAD_ADDRESS`
 */
export function ipv4ToBytes(text: string): Buffer {
  if (!isIpv4(text)) throw notAnAddress(text, '10.0.0.1');
  return Buffer.from(text.split('.').map(Number));
}

/** The text of an address's first four bytes. */
export function ipv4FromBytes(bytes: Uint8Array): string {
  return bytes.subarray(0, 4).join('.');
}

/** An address as a whole number from 0 to 2³²-1; NaN for what is none. */
export function ipv4ToNumber(text: string): number {
  let number = 0;
  for (const part of text.split('.')) number = number * 256 + Number(part);
  return number;
}

export function ipv4FromNumber(number: number): string {
  return [number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255].join('.');
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
  return isIpv4(address) && (ipv4ToNumber(address) ^ ipv4ToNumber(network)) >>> 0 < 2 ** (32 - prefix);
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

function notAnAddress(text: string, example: string): BladerootError {
  return new BladerootError('BAD_ADDRESS', `${JSON.stringify(text)} is no IPv4 address, subnet or mask`, {
    hint: `write it as ${example}`,
  });
}
