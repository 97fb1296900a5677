/** What kind of firmware asks, how it fetches, and which loader it can run. Tables only. */

export type Firmware =
  | 'bios'
  | 'uefi-ia32'
  | 'uefi-x64'
  | 'uefi-arm32'
  | 'uefi-arm64'
  | 'raspberry-pi'
  | 'other';

/** What a machine says of itself by DHCP. */
export interface FirmwareFacts {
  /** `52:54:00:12:34:56`, in lower case. */
  mac: string;
  /** Option 93 (RFC 4578 §2.1); empty when absent. */
  arch: number[];
  /** Option 60, such as `PXEClient:Arch:00007:UNDI:003016`. */
  vendorClass?: string;
}

/**
 * Client system architecture, DHCP option 93, as IANA registers it ("Processor Architecture Types", RFC 5970). RFC 4578
 * 2.1 has 7 and 9 the wrong way round and firmware followed both, so both are UEFI on x86-64 (its erratum).
 */
const ARCHITECTURES: Record<number, Firmware> = {
  0: 'bios',
  6: 'uefi-ia32',
  7: 'uefi-x64',
  9: 'uefi-x64',
  10: 'uefi-arm32',
  11: 'uefi-arm64',
  15: 'uefi-ia32',
  16: 'uefi-x64',
  18: 'uefi-arm32',
  19: 'uefi-arm64',
  20: 'bios',
  41: 'raspberry-pi',
};

/** Those of the list above that fetch by HTTP. */
const HTTP_ARCHITECTURES = new Set([15, 16, 18, 19, 20]);

/** The first half of MAC addresses that Raspberry Pi has at IEEE. */
const RASPBERRY_PI = new Set(['28:cd:c1', '2c:cf:67', 'b8:27:eb', 'd8:3a:dd', 'dc:a6:32', 'e4:5f:01']);

/**
 * The kind of firmware. A list is searched for the first number that is known; a client that sends none is taken for a
 * PC with BIOS, as the clients before RFC 4578 were.
 */
export function firmwareOf({ mac, arch }: Omit<FirmwareFacts, 'vendorClass'>): Firmware {
  const known = arch.map((number) => ARCHITECTURES[number]).find((found) => found !== undefined);
  const firmware = known ?? (arch.length === 0 ? 'bios' : 'other');
  // The boot ROM of a Raspberry Pi (3 to 5) says 0, and is no PC. With UEFI on its card it says 11, and that is true.
  return firmware === 'bios' && RASPBERRY_PI.has(mac.slice(0, 8)) ? 'raspberry-pi' : firmware;
}

/** Whether the firmware wants a URL: UEFI 2.5 HTTP boot says so by its vendor class, and by its architecture. */
export function bootsByHttp({ arch, vendorClass }: Omit<FirmwareFacts, 'mac'>): boolean {
  if (vendorClass !== undefined && /^(PXE|HTTP)Client/.test(vendorClass)) {
    return vendorClass.startsWith('HTTPClient');
  }
  return arch.some((number) => HTTP_ARCHITECTURES.has(number));
}

/**
 * The loader for each firmware, by the name under which TFTP and HTTP serve it; undefined where iPXE has none in Debian.
 * undionly.kpxe and snponly.efi use the network card through the firmware that has loaded them, so that any card works
 * which could ask in the first place, and of several the one that did ask.
 */
export const LOADERS: Record<Firmware, string | undefined> = {
  bios: 'undionly.kpxe',
  'uefi-ia32': undefined,
  'uefi-x64': 'snponly.efi',
  'uefi-arm32': undefined,
  'uefi-arm64': 'ipxe-arm64.efi',
  // It loads its own bootcode by name, not what it is told to; UEFI for it (pftf.io) says 11.
  'raspberry-pi': undefined,
  other: undefined,
};

/** For other DHCP servers: each architecture that has a loader, and whether it fetches that by HTTP. */
export const BOOTABLE: readonly { arch: number; firmware: Firmware; loader: string; http: boolean }[] =
  Object.entries(ARCHITECTURES).flatMap(([number, firmware]) => {
    const arch = Number(number);
    const loader = LOADERS[firmware];
    return loader === undefined ? [] : [{ arch, firmware, loader, http: HTTP_ARCHITECTURES.has(arch) }];
  });
