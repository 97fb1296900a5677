/** The disks of a machine, as the kernel shows them in sysfs. Only reads, and no disk. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Machine } from '../fleet/machine.ts';
import { exists, namesIn } from '../system/read-file.ts';

/** Of /sys/block/NAME/size, whatever the disk's own sectors are. */
const SECTOR_BYTES = 512;
const LONGEST_WORD = 128;

/** The disks of /sys/block; what is on them is not looked at. */
export async function disksIn(folder: string): Promise<Machine['disks']> {
  const disks: Machine['disks'] = [];
  for (const name of (await namesIn(folder)).sort()) {
    const disk = join(folder, name);
    const bytes = SECTOR_BYTES * Number(await textOf(join(disk, 'size')));
    // Loop devices and the like have no device; optical drives and empty readers are nothing to install on.
    if (!(bytes > 0) || /^(sr|fd)\d/.test(name) || !(await exists(join(disk, 'device')))) continue;
    const serial =
      (await textOf(join(disk, 'serial'))) ??
      (await textOf(join(disk, 'device/serial'))) ??
      // SCSI's own page of it (SPC-4, 7.8.15) has a header of 4 bytes.
      (await textOf(join(disk, 'device/vpd_pg80')))?.slice(4);
    disks.push({
      path: `/dev/${name.replaceAll('!', '/')}`,
      bytes,
      ...given('model', cut(await textOf(join(disk, 'device/model')))),
      ...given('serial', cut(serial)),
      rotational: (await textOf(join(disk, 'queue/rotational')))?.trim() === '1',
    });
  }
  return disks;
}

/** A file of sysfs that is not there, or cannot be read just now (the carrier of a card that is down), says nothing. */
export async function textOf(path: string): Promise<string | undefined> {
  return await readFile(path, 'latin1').catch(() => undefined);
}

/** Printable, on one line, not too long; undefined where nothing is left. */
export function cut(text: string | undefined): string | undefined {
  const word = text
    ?.replaceAll(/[^\x20-\x7e]+/g, ' ')
    .replaceAll(/ +/g, ' ')
    .trim()
    .slice(0, LONGEST_WORD);
  return word === '' ? undefined : word;
}

export function given<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
): Partial<Record<Name, Value>> {
  const field: Partial<Record<Name, Value>> = {};
  if (value !== undefined) field[name] = value;
  return field;
}
