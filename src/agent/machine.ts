/** What this machine is, as the kernel shows it in sysfs and procfs. Only reads, and no disk. */
import { readlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { BladerootError } from '../errors.ts';
import type { Machine } from '../fleet/machine.ts';
import { cut, disksIn, given, textOf } from '../storage/block-devices.ts';
import { exists, namesIn } from '../system/read-file.ts';

/** ARPHRD_ETHER (linux/if_arp.h): other cards have no MAC that DHCP would know them by. */
const ETHERNET = '1';
const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;

/** What makers leave in SMBIOS instead of a number of their own; many machines would share it. */
const PLACEHOLDERS =
  /^(none|n\/?a|null|unknown|default( string)?|not (specified|applicable|available|present)|to be filled( by o\.?e\.?m\.?)?|o\.?e\.?m\.?|(system|chassis|base board) serial number|system (product name|manufacturer)|invalid|[0x.\- ]+|0?123456789(abc.*)?)$/i;
/** Nothing set, and what AMI's firmware is delivered with. */
const NO_GUIDS = /^(0{8}-.*|f{8}-.*|03000200-0400-0500-0006-000700080009)$/;

/**
 * @param bootMac of the card that it booted from, where that is known; else the first card with a link is it
 * @param root where /sys and /proc are
 * @throws BladerootError `NO_CARD`
 */
export async function inspectMachine(bootMac: string | undefined, root = '/'): Promise<Machine> {
  const nics = await inspectNics(join(root, 'sys/class/net'));
  const nic =
    nics.find(({ mac }) => mac === bootMac) ?? nics.find(({ link }) => link) ?? nics.find(() => true);
  if (nic === undefined) throw new BladerootError('NO_CARD', 'this machine has no Ethernet card');
  return {
    mac: nic.mac,
    ...(await inspectSystem(join(root, 'sys/class/dmi/id'))),
    firmware: (await exists(join(root, 'sys/firmware/efi'))) ? 'uefi' : 'bios',
    cpu: await inspectCpus(join(root, 'proc/cpuinfo')),
    memoryBytes: await inspectMemory(join(root, 'proc/meminfo')),
    nics: nics.slice(0, 64),
    disks: (await disksIn(join(root, 'sys/block'))).slice(0, 256),
  };
}

/** A number of SMBIOS that says something; cut to what a root takes. */
export function meaningful(text: string | undefined): string | undefined {
  const word = cut(text);
  return word === undefined || PLACEHOLDERS.test(word) ? undefined : word;
}

async function inspectSystem(dmi: string): Promise<Pick<Machine, 'serial' | 'guid' | 'vendor' | 'model'>> {
  const guid = (await textOf(join(dmi, 'product_uuid')))?.trim().toLowerCase();
  const isGuid = guid !== undefined && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(guid);
  return {
    ...given('serial', meaningful(await textOf(join(dmi, 'product_serial')))),
    ...given('guid', isGuid && !NO_GUIDS.test(guid) ? guid : undefined),
    ...given('vendor', meaningful(await textOf(join(dmi, 'sys_vendor')))),
    ...given('model', meaningful(await textOf(join(dmi, 'product_name')))),
  };
}

async function inspectNics(folder: string): Promise<Machine['nics']> {
  const nics: Machine['nics'] = [];
  for (const name of (await namesIn(folder)).sort()) {
    const nic = join(folder, name);
    // Bridges, tunnels and the loopback have no device.
    if (!(await exists(join(nic, 'device')))) continue;
    const mac = (await textOf(join(nic, 'address')))?.trim() ?? '';
    if ((await textOf(join(nic, 'type')))?.trim() !== ETHERNET || !MAC.test(mac)) continue;
    const driver = await readlink(join(nic, 'device/driver')).catch(() => undefined);
    const speed = Number(await textOf(join(nic, 'speed')));
    nics.push({
      name,
      mac,
      ...given('driver', driver === undefined ? undefined : cut(basename(driver))),
      // -1 and errors: there is no link, or the card, as virtual ones, has none to tell.
      ...given('speed', Number.isSafeInteger(speed) && speed > 0 ? speed : undefined),
      link: (await textOf(join(nic, 'carrier')))?.trim() === '1',
    });
  }
  return nics;
}

async function inspectCpus(path: string): Promise<Machine['cpu']> {
  const text = (await textOf(path)) ?? '';
  const model = cut(/^model name\s*: (.*)$/m.exec(text)?.[1]);
  return { ...given('model', model), count: text.match(/^processor\s*:/gm)?.length ?? 0 };
}

async function inspectMemory(path: string): Promise<number> {
  return 1024 * Number(/^MemTotal: +(\d+) kB$/m.exec((await textOf(path)) ?? '')?.[1] ?? 0);
}
