/** Who boots what. Policy lives here and nowhere else: facts in, plan out. */
import { bootsByHttp, firmwareOf, LOADERS, type Firmware, type FirmwareFacts } from './firmware.ts';

/** What a machine that asks by DHCP says of itself. */
export interface BootClient extends FirmwareFacts {
  isIpxe: boolean;
  /** Whether it is an iPXE that says (option 175) that it was built with HTTP. */
  ipxeHasHttp: boolean;
}

/** What the firmware is told to load: a loader by TFTP or by HTTP (a path on the root), or an iPXE script. */
export type BootFile =
  | { kind: 'script' }
  | { kind: 'loader'; name: string }
  | { kind: 'url'; path: string }
  | { kind: 'none'; firmware: Firmware };

/** Where the root serves its loaders by HTTP; a name follows. */
export const LOADERS_PATH = '/boot/loaders/';

/**
 * The next thing for a machine that asks by DHCP. iPXE that speaks HTTP goes straight to its script; an iPXE that does
 * not (many ROMs of network cards) loads ours first, as plain firmware does.
 *
 * Nothing can go in circles: the loaders are iPXE with HTTP, which says so in option 175 when it asks in its turn, and
 * then gets the script. So it takes no user class of our own, which the system's iPXE has not.
 *
 * A loader is named even where the release has none, as for ARM64 on a Debian that has no iPXE for it: the firmware is
 * told at once that there is no such file, and goes on to its next device. Without a name, EDK2 waits for other offers.
 */
export function planBootFile(client: BootClient): BootFile {
  if (client.isIpxe && client.ipxeHasHttp) return { kind: 'script' };
  const firmware = firmwareOf(client);
  const name = LOADERS[firmware];
  if (name === undefined) return { kind: 'none', firmware };
  return bootsByHttp(client) ? { kind: 'url', path: `${LOADERS_PATH}${name}` } : { kind: 'loader', name };
}

/** What a blade does once it has its script. */
export type BootPlan =
  /** `reason`: why it does not get the release that it is to run. */
  { kind: 'local-disk'; reason?: string } | { kind: 'agent' } | { kind: AskedBoot };

/** What somebody has asked of a blade's next boot. */
export type AskedBoot = 'deploy' | 'rescue';

/** What a blade said when it last came up. */
export interface LastUp {
  release: number;
  /** The newest release with which it has not become healthy. */
  bad?: { release: number; reason: string } | undefined;
  /** Whether the agent has begun with its disk since, and was cut off: it may have nothing to start from. */
  agentSince?: boolean;
}

/**
 * A blade that last came up with the release that it is to run boots from its own disk, and so does one that has fallen
 * back from it to its last good slot; any other runs the agent, which looks at the disk and decides what is to be done. So
 * does one on which the agent was at work since: iPXE that is sent to a disk without a boot loader stands there for ever.
 * One that runs from memory has nothing to boot from. What somebody has asked for comes first.
 * @param root where the blade has its root filesystem; on its disk where it does not say
 */
export function planBoot(
  toRun: number,
  lastUp: LastUp | undefined,
  root?: 'ram' | undefined,
  asked?: AskedBoot | undefined,
): BootPlan {
  if (asked !== undefined) return { kind: asked };
  if (root === 'ram' || lastUp?.agentSince === true) return { kind: 'agent' };
  if (lastUp?.release === toRun) return { kind: 'local-disk' };
  if (lastUp?.bad?.release !== toRun) return { kind: 'agent' };
  const reason = `release ${toRun} was bad there, and release ${lastUp.release} is good: ${lastUp.bad.reason}`;
  return { kind: 'local-disk', reason };
}
