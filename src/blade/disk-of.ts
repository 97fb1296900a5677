/** Which disk a mounted file system lies on, and what else is on it: as udev has it, on a running blade. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';
import { BladerootError } from '../errors.ts';
import { run } from '../system/run.ts';
import type { Slot } from './state.ts';

const deviceSchema = z.object({
  path: z.string(),
  type: z.string(),
  partlabel: z.string().nullish(),
  partuuid: z.string().nullish(),
});

const lsblkSchema = z.object({ blockdevices: z.array(deviceSchema) });

type Device = z.infer<typeof deviceSchema>;

async function devices(path: string, ...options: string[]): Promise<Device[]> {
  const columns = 'PATH,TYPE,PARTLABEL,PARTUUID';
  const { stdout } = await run('lsblk', ['--json', '--list', '--output', columns, ...options, path]);
  return lsblkSchema.parse(JSON.parse(stdout)).blockdevices;
}

async function sourceOf(mountPoint: string): Promise<string> {
  return (await run('findmnt', ['--noheadings', '--output', 'SOURCE', mountPoint])).stdout.trim();
}

/** The disk that a mounted file system lies on. */
export async function diskOf(mountPoint: string): Promise<string> {
  const source = await sourceOf(mountPoint);
  const disk = (await devices(source, '--inverse')).find(({ type }) => type === 'disk');
  if (disk === undefined) throw new Error(`${source} lies on no disk`);
  return disk.path;
}

/** The partition that a mounted file system lies on, its number and PARTUUID. */
export async function espPlace(
  mountPoint: string,
): Promise<{ disk: string; partition: number; partuuid: string }> {
  const source = await sourceOf(mountPoint);
  const partuuid = (await devices(source, '--nodeps'))[0]?.partuuid;
  if (partuuid === undefined || partuuid === null) throw new Error(`${source} is no partition`);
  const number = await readFile(`/sys/class/block/${basename(source)}/partition`, 'utf8');
  return { disk: await diskOf(mountPoint), partition: Number(number), partuuid };
}

/** The PARTUUID of a slot on the disk that a mounted file system lies on. */
export async function slotPartition(slot: Slot, mountPoint: string): Promise<string | undefined> {
  const parts = await devices(await diskOf(mountPoint));
  return parts.find(({ partlabel }) => partlabel === `bladeroot-${slot}`)?.partuuid ?? undefined;
}

/** The GPT names and PARTUUIDs of the partitions of the disk that a mounted file system lies on. */
export async function partitionsBeside(mountPoint: string): Promise<{ name: string; uuid: string }[]> {
  const parts = await devices(await diskOf(mountPoint));
  return parts.map(({ partlabel, partuuid }) => ({ name: partlabel ?? '', uuid: partuuid ?? '' }));
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
