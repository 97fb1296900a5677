/** Which disk a mounted file system lies on, and what else is on it: as udev has it, on a running blade. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';
import { BladerootError } from '../errors.ts';
import { PARTITIONS } from '../fleet/layout.ts';
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

/** What the partition of a mounted file system is one of: a disk, or a mirror. */
export async function volumeOf(mountPoint: string): Promise<string> {
  const source = await sourceOf(mountPoint);
  const volume = (await devices(source, '--inverse')).find(({ type }) => type !== 'part');
  if (volume === undefined) throw new Error(`${source} lies on no disk`);
  return volume.path;
}

/** The PARTUUID of a slot beside the partition of a mounted file system. */
export async function slotPartition(slot: Slot, mountPoint: string): Promise<string | undefined> {
  const parts = await partitionsBeside(mountPoint);
  return parts.find(({ name }) => name === PARTITIONS[slot])?.uuid || undefined;
}

/** The GPT names and PARTUUIDs of the partitions beside that of a mounted file system. */
export async function partitionsBeside(mountPoint: string): Promise<{ name: string; uuid: string }[]> {
  const parts = await devices(await volumeOf(mountPoint));
  return parts.map(({ partlabel, partuuid }) => ({ name: partlabel ?? '', uuid: partuuid ?? '' }));
}

/** The partitions of both slots, beside that of a mounted file system. @throws BladerootError `NO_PARTITION` */
export async function slotDevices(mountPoint: string): Promise<Record<Slot, string>> {
  const volume = await volumeOf(mountPoint);
  const parts = await devices(volume);
  const find = (slot: Slot): string => {
    const found = parts.find(({ partlabel }) => partlabel === PARTITIONS[slot]);
    if (found !== undefined) return found.path;
    throw new BladerootError('NO_PARTITION', `${volume} has no partition ${PARTITIONS[slot]}`);
  };
  return { a: find('a'), b: find('b') };
}
