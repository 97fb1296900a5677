/** The firmware's boot entries (UEFI 2.10 §3.1.3) as efibootmgr(8) prints them. Text in, entries out. */

export interface BootEntry {
  /** Four hexadecimal digits, as in Boot0003. */
  number: string;
  isActive: boolean;
  label: string;
  /** The device path as text, and what firmware keeps behind it. */
  path: string;
}

export interface BootEntries {
  /** Numbers, in the order in which they are tried; some may name no entry. */
  order: string[];
  entries: BootEntry[];
}

/** @param text of `efibootmgr --verbose`, version 15 to 18 */
export function parseBootEntries(text: string): BootEntries {
  const order = /^BootOrder: ([0-9A-F,]*)$/im.exec(text)?.[1] ?? '';
  const entries = [...text.matchAll(/^Boot([0-9A-F]{4})([* ]) ([^\t\n]*)(?:\t(.*))?$/gim)];
  return {
    order: order.split(',').flatMap((number) => (number === '' ? [] : number.toUpperCase())),
    entries: entries.map(([, number = '', active, label = '', path = '']) => ({
      number: number.toUpperCase(),
      isActive: active === '*',
      label: label.trim(),
      path,
    })),
  };
}

/** Whether an entry boots from the network: its device path goes through a card (UEFI 2.10 §10.3.4). */
export function isNetwork({ path }: BootEntry): boolean {
  return /\/(MAC|IPv4|IPv6|Uri)\(/i.test(path);
}
