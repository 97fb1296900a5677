import { describeError } from '../../errors.ts';
import type { BootOrder } from '../../fleet/schema.ts';
import { exists } from '../../system/read-file.ts';
import { run } from '../../system/run.ts';
import { espPlace } from '../disk-of.ts';
import type { Esps } from '../grub/esp.ts';
import { parseBootEntries, type BootEntries } from './entries.ts';
import { hasNetwork, nextCall, type EspPlace } from './plan.ts';

/** Where the kernel shows that it was started by UEFI. */
const EFI = '/sys/firmware/efi';
/** Firmware that does not do what it is told is not asked for ever. */
const MOST_CALLS = 20;

/**
 * Puts the firmware's boot order right, and its entry for bladeroot, of which there is one for each disk that it starts from. Where that cannot be, the
 * blade goes on as it is.
 * @param esp where it is mounted, or both of a mirror
 * @returns how the order is now, in words
 */
export async function keepBootOrder(wish: BootOrder, esp: Esps): Promise<string> {
  if (!(await exists(EFI))) return `${wish} cannot be set on a BIOS machine: set it in its setup`;
  try {
    return await setBootOrder(wish, await Promise.all([esp].flat().map(espPlace)));
  } catch (error) {
    return `${wish} could not be set: ${describeError(error)}`;
  }
}

async function setBootOrder(wish: BootOrder, esps: readonly EspPlace[]): Promise<string> {
  for (let calls = 0; calls < MOST_CALLS; calls++) {
    const found = await readEntries();
    const call = nextCall(found, wish, esps);
    if (call === undefined) {
      const how = calls === 0 ? 'the firmware boots' : 'the firmware is told to boot';
      if (wish === 'network-first' && !hasNetwork(found)) return `${how} the disk: it has no network entry`;
      return `${how} ${wish}`;
    }
    await run('efibootmgr', ['--quiet', ...call]);
  }
  return `the firmware does not keep ${wish}`;
}

async function readEntries(): Promise<BootEntries> {
  return parseBootEntries((await run('efibootmgr', ['--verbose'])).stdout);
}
