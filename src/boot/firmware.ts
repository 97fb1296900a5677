/** What kind of firmware asks, and which loader it can run. */

export type Firmware = 'bios' | 'uefi-x64' | 'uefi-arm64' | 'other';

/**
 * Client system architecture, DHCP option 93 (RFC 4578 2.1 and its erratum: 7 and 9 are both UEFI x86-64;
 * IANA's registry for 11).
 */
const ARCHITECTURES: Record<number, Firmware> = {
  0: 'bios',
  7: 'uefi-x64',
  9: 'uefi-x64',
  11: 'uefi-arm64',
};

/** A client that sends no option 93 is taken for a PC with BIOS, as RFC 4578's predecessors were. */
export function firmwareOf(architectures: number[]): Firmware {
  if (architectures.length === 0) return 'bios';
  return architectures.map((number) => ARCHITECTURES[number]).find((found) => found !== undefined) ?? 'other';
}

/** The loader, by the name that TFTP serves; undefined where there is none for this firmware yet. */
export const LOADERS: Record<Firmware, string | undefined> = {
  bios: 'undionly.kpxe',
  'uefi-x64': undefined,
  'uefi-arm64': undefined,
  other: undefined,
};
