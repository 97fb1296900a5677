/** What to tell the firmware so that it boots in the wished order, with one entry for bladeroot. Pure. */
import type { BootOrder } from '../../fleet/schema.ts';
import { isNetwork, type BootEntries, type BootEntry } from './entries.ts';

export const LABEL = 'bladeroot';

/** The path that every firmware tries by itself on a disk without entries, too (UEFI 2.10 §3.5.1.1). */
const LOADER = String.raw`\EFI\BOOT\BOOTX64.EFI`;

export interface EspPlace {
  /** Such as /dev/nvme0n1. */
  disk: string;
  /** Of the ESP. */
  partition: number;
  /** Its PARTUUID. */
  partuuid: string;
}

/**
 * The next call of efibootmgr, as its arguments; undefined when all is as it should be. After each the entries are to be
 * read again: firmware numbers, and renames, as it likes.
 * @param esps of the disks that the blade starts from: of a mirror two, each with an entry of its own
 */
export function nextCall(
  found: BootEntries,
  wish: BootOrder,
  esps: readonly EspPlace[],
): string[] | undefined {
  const labelled = found.entries.filter(({ label }) => label === LABEL);
  const own = esps.map((esp) => labelled.find((entry) => leadsTo(entry, esp)));
  const wrong = labelled.find((entry) => !own.includes(entry));
  if (wrong !== undefined) return ['--bootnum', wrong.number, '--delete-bootnum'];
  const missing = esps.find((_, index) => own[index] === undefined);
  if (missing !== undefined) {
    const place = ['--disk', missing.disk, '--part', String(missing.partition)];
    return ['--create-only', ...place, '--label', LABEL, '--loader', LOADER];
  }
  const entries = own.filter((entry) => entry !== undefined);
  const off = entries.find(({ isActive }) => !isActive);
  if (off !== undefined) return ['--bootnum', off.number, '--active'];
  const order = wishedOrder(found, entries, wish);
  return order.join() === found.order.join() ? undefined : ['--bootorder', order.join()];
}

/** All that is in the order stays in it, in the order in which it was, but for bladeroot and, before it, the network. */
function wishedOrder(
  { order, entries }: BootEntries,
  ownEntries: readonly BootEntry[],
  wish: BootOrder,
): string[] {
  const own = ownEntries.map(({ number }) => number);
  const others = order.filter((number) => !own.includes(number));
  if (wish === 'disk-first') return [...own, ...others];
  const network = new Set(entries.filter(isNetwork).map(({ number }) => number));
  return [
    ...others.filter((number) => network.has(number)),
    ...own,
    ...others.filter((number) => !network.has(number)),
  ];
}

/** efibootmgr 17 writes `File(\EFI\…)`, 18 the bare path. */
function leadsTo({ path }: BootEntry, { partition, partuuid }: EspPlace): boolean {
  const here = path.toLowerCase();
  return (
    here.includes(`hd(${partition},gpt,${partuuid.toLowerCase()},`) && here.includes(LOADER.toLowerCase())
  );
}

/** Whether the firmware can boot from the network at all. */
export function hasNetwork({ entries }: BootEntries): boolean {
  return entries.some((entry) => entry.isActive && isNetwork(entry));
}
