/** IPv6 router advertisements (RFC 4861 §4.2) in IPv6 packets (RFC 8200 §3): the one that says there is no router. */

const ICMPV6 = 58;
const ROUTER_ADVERTISEMENT = 134;
const HEADER_BYTES = 40;
const ADVERTISEMENT_BYTES = 16;

/**
 * A whole IPv6 packet, from one card's link-local address to another's: an advertisement of a router with a lifetime of 0,
 * which is no default router, without prefixes, and without the flags that would send the other one to DHCPv6.
 * @param from `52:54:00:12:34:56`, as is `to`
 */
export function noRouterAdvertisement(from: string, to: string): Buffer {
  const packet = Buffer.alloc(HEADER_BYTES + ADVERTISEMENT_BYTES);
  packet.writeUInt8(6 << 4, 0);
  packet.writeUInt16BE(ADVERTISEMENT_BYTES, 4);
  packet.writeUInt8(ICMPV6, 6);
  // Nobody takes one that may have come from another network (RFC 4861 §6.1.2).
  packet.writeUInt8(255, 7);
  packet.set(linkLocalAddress(from), 8);
  packet.set(linkLocalAddress(to), 24);
  // All else that an advertisement says is "not said" when it is 0.
  packet.writeUInt8(ROUTER_ADVERTISEMENT, HEADER_BYTES);
  packet.writeUInt16BE(checksum(packet), HEADER_BYTES + 2);
  return packet;
}

/** fe80::/64 with the card's EUI-64 (RFC 4291 appendix A). */
function linkLocalAddress(mac: string): Buffer {
  const [first = 0, second = 0, third = 0, ...rest] = Buffer.from(mac.replaceAll(':', ''), 'hex');
  return Buffer.from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, first ^ 2, second, third, 0xff, 0xfe, ...rest]);
}

/** Of ICMPv6, with both addresses, the length and the protocol (RFC 8200 §8.1). */
function checksum(packet: Buffer): number {
  let sum = packet.length - HEADER_BYTES + ICMPV6;
  for (let at = 8; at < packet.length; at += 2) sum += packet.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
