/** Finds an address for a blade that is told none. Pure. */
import ipaddr from 'ipaddr.js';

export interface AddressSpace {
  subnet: string;
  gateway?: string | undefined;
  dns: readonly string[];
  /** For machines that are no blades: theirs alone, from the first to the last. */
  pool?: { from: string; to: string } | undefined;
}

/** Below it are routers, switches and servers that the fleet knows nothing of; a fleet begins where `init` begins it. */
const FIRST_HOST = 11;

/**
 * The next address after those of the blades; when there is none up to the end of the subnet, the lowest one after its
 * first ten (in a small subnet, after its first).
 * @param blades addresses of the blades, also of other networks
 * @param others addresses that are taken beside those, such as the root's
 * @returns undefined when all are taken
 */
export function freeAddress(
  space: AddressSpace,
  blades: readonly string[],
  others: readonly string[] = [],
): string | undefined {
  const first = toNumber(ipaddr.IPv4.networkAddressFromCIDR(space.subnet));
  const last = toNumber(ipaddr.IPv4.broadcastAddressFromCIDR(space.subnet));
  const inside = (number: number): boolean => number > first && number < last;
  const [from, to] = [space.pool?.from, space.pool?.to].map((end) =>
    end === undefined ? NaN : numberOf(end),
  );
  const inPool = (number: number): boolean =>
    from !== undefined && to !== undefined && number >= from && number <= to;
  const used = blades.map(numberOf).filter(inside);
  const taken = new Set([
    ...used,
    ...[...others, ...space.dns, ...(space.gateway === undefined ? [] : [space.gateway])].map(numberOf),
  ]);
  const lowest = first + (last - first > 2 * FIRST_HOST ? FIRST_HOST : 2);
  const next = used.reduce((highest, number) => Math.max(highest, number), lowest - 1) + 1;
  for (const begin of [next, lowest, first + 1]) {
    for (let number = begin; inside(number); number++) {
      if (inPool(number) && to !== undefined) number = to;
      else if (!taken.has(number)) return textOf(number);
    }
  }
  return undefined;
}

function numberOf(address: string): number {
  return toNumber(ipaddr.IPv4.parse(address));
}

function toNumber({ octets }: ipaddr.IPv4): number {
  return octets.reduce((number, octet) => number * 256 + octet, 0);
}

function textOf(number: number): string {
  return [24, 16, 8, 0].map((bits) => Math.floor(number / 2 ** bits) % 256).join('.');
}
