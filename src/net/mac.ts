/** Ethernet addresses. Everywhere in bladeroot they are written `52:54:00:12:34:56`, in lower case. */
import { BladerootError } from '../errors.ts';

/**
 * The usual form of an address that a person wrote: with colons, hyphens, dots or nothing between its digits.
 * @throws BladerootError `BAD_MAC`
 */
export function parseMac(text: string): string {
  const digits = SPELLINGS.some((spelling) => spelling.test(text)) ? text.replace(/[^0-9a-f]/gi, '') : '';
  if (digits === '') {
    throw new BladerootError('BAD_MAC', `${JSON.stringify(text)} is not an Ethernet address`, {
      hint: 'write it as 52:54:00:12:34:56',
    });
  }
  return formatMac(Buffer.from(digits, 'hex'));
}

/** The usual form of an address's bytes, however many there are. */
export function formatMac(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += text === '' ? HEX[byte] : `:${HEX[byte]}`;
  return text;
}

/** Each byte in two digits: a DHCP server does this for every packet. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** What Linux, Windows, Cisco and bar codes print. */
const SPELLINGS = [
  /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i,
  /^([0-9a-f]{2}-){5}[0-9a-f]{2}$/i,
  /^([0-9a-f]{4}\.){2}[0-9a-f]{4}$/i,
  /^[0-9a-f]{12}$/i,
];
