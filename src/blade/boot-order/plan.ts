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
 */
export function nextCall(found: BootEntries, wish: BootOrder, esp: EspPlace): string[] | undefined {
  const labelled = found.entries.filter(({ label }) => label === LABEL);
  const [own, ...more] = labelled.filter((entry) => leadsTo(entry, esp));
  const wrong = [...labelled.filter((entry) => !leadsTo(entry, esp)), ...more][0];
  if (wrong !== undefined) return ['--bootnum', wrong.number, '--delete-bootnum'];
  if (own === undefined) {
    const place = ['--disk', esp.disk, '--part', String(esp.partition)];
    return ['--create-only', ...place, '--label', LABEL, '--loader', LOADER];
  }
  if (!own.isActive) return ['--bootnum', own.number, '--active'];
  const order = wishedOrder(found, own, wish);
  return order.join() === found.order.join() ? undefined : ['--bootorder', order.join()];
}

/** All that is in the order stays in it, in the order in which it was, but for bladeroot and, before it, the network. */
function wishedOrder({ order, entries }: BootEntries, own: BootEntry, wish: BootOrder): string[] {
  const others = order.filter((number) => number !== own.number);
  if (wish === 'disk-first') return [own.number, ...others];
  const network = new Set(entries.filter(isNetwork).map(({ number }) => number));
  return [
    ...others.filter((number) => network.has(number)),
    own.number,
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
