/** How an age file begins (C2SP age.md): enough to see that something was not encrypted at all. Pure. */

const BINARY = Buffer.from('age-encryption.org/v1\n');
const ARMOR = Buffer.from('-----BEGIN AGE ENCRYPTED FILE-----');

export function isCiphertext(bytes: Uint8Array): boolean {
  return isArmored(bytes) || BINARY.equals(bytes.subarray(0, BINARY.length));
}

export function isArmored(bytes: Uint8Array): boolean {
  return ARMOR.equals(bytes.subarray(0, ARMOR.length));
}
