/** Who boots what. Policy lives here and nowhere else: facts in, plan out. */
import { firmwareOf, LOADERS, type Firmware } from './firmware.ts';

/** What the firmware is told to load: by TFTP, or an iPXE script by HTTP. */
export type BootFile =
  | { kind: 'loader'; name: string }
  | { kind: 'script' }
  | { kind: 'url'; path: string }
  | { kind: 'none'; firmware: Firmware };

/** The next thing for a machine that asks by DHCP; iPXE that speaks HTTP needs no other loader. */
export function planBootFile(client: { arch: number[]; isIpxe: boolean; ipxeHasHttp: boolean }): BootFile {
  if (client.isIpxe && client.ipxeHasHttp) return { kind: 'script' };
  const firmware = firmwareOf(client.arch);
  const name = LOADERS[firmware];
  return name === undefined ? { kind: 'none', firmware } : { kind: 'loader', name };
}

/** What a blade does once it has its script. */
export type BootPlan = { kind: 'local-disk' } | { kind: 'agent' };

/**
 * A blade that last came up with the current release boots from its own disk; any other runs the agent, which looks
 * at the disk and decides what is to be done.
 */
export function planBoot(current: { sequence: number }, lastUp: { release: number } | undefined): BootPlan {
  return lastUp?.release === current.sequence ? { kind: 'local-disk' } : { kind: 'agent' };
}
