/** Which disk a mounted file system lies on, and what else is on it: as udev has it, on a running blade. */
import { z } from 'zod';
import { BladerootError } from '../errors.ts';
import { run } from '../system/run.ts';
import type { Slot } from './state.ts';

const lsblkSchema = z.object({
  blockdevices: z.array(
    z.object({
      path: z.string(),
      type: z.string(),
      partlabel: z.string().nullish(),
      partuuid: z.string().nullish(),
    }),
  ),
});

type Device = z.infer<typeof lsblkSchema>['blockdevices'][number];

async function devices(path: string, ...options: string[]): Promise<Device[]> {
  const columns = 'PATH,TYPE,PARTLABEL,PARTUUID';
  const { stdout } = await run('lsblk', ['--json', '--list', '--output', columns, ...options, path]);
  return lsblkSchema.parse(JSON.parse(stdout)).blockdevices;
}

/** The disk that a mounted file system lies on. */
export async function diskOf(mountPoint: string): Promise<string> {
  const { stdout } = await run('findmnt', ['--noheadings', '--output', 'SOURCE', mountPoint]);
  const disk = (await devices(stdout.trim(), '--inverse')).find(({ type }) => type === 'disk');
  if (disk === undefined) throw new Error(`${stdout.trim()} lies on no disk`);
  return disk.path;
}

/** The PARTUUID of a slot on the disk that a mounted file system lies on. */
export async function slotPartition(slot: Slot, mountPoint: string): Promise<string | undefined> {
  const parts = await devices(await diskOf(mountPoint));
  return parts.find(({ partlabel }) => partlabel === `bladeroot-${slot}`)?.partuuid ?? undefined;
}

/** The partitions of both slots, on the disk that a mounted file system lies on. @throws BladerootError `NO_PARTITION` */
export async function slotDevices(mountPoint: string): Promise<Record<Slot, string>> {
  const disk = await diskOf(mountPoint);
  const parts = await devices(disk);
  const find = (slot: Slot): string => {
    const found = parts.find(({ partlabel }) => partlabel === `bladeroot-${slot}`);
    if (found !== undefined) return found.path;
    throw new BladerootError('NO_PARTITION', `${disk} has no partition bladeroot-${slot}`);
  };
  return { a: find('a'), b: find('b') };
}
