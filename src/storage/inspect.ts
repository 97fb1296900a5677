/** Looks at a machine's disks. Only reads. */
import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { z } from 'zod';
import { describeError } from '../errors.ts';
import type { DiskFacts, PartitionFacts } from '../fleet/machine.ts';
import { ProgramFailed, run } from '../system/run.ts';
import { disksIn } from './block-devices.ts';
import { startMirrors, type RunningMirror } from './mirror.ts';

/** How much of the start of a disk, and of a partition, is looked at for data of an unknown kind. */
const LOOKED_AT = 1024 * 1024;

/** All disks that the kernel knows, in the order of its names, and behind them the mirrors of which they have halves. */
export async function inspectDisks(): Promise<DiskFacts[]> {
  const found = await disksIn('/sys/block');
  const disks = await Promise.all(
    found.map(async (disk): Promise<DiskFacts> => ({ ...disk, contents: await inspectContents(disk.path) })),
  );
  const mirrors = await startMirrors(disks);
  return [...disks, ...(await Promise.all(mirrors.map(inspectMirror)))];
}

async function inspectMirror({ device, uuid, halves }: RunningMirror): Promise<DiskFacts> {
  const { stdout } = await run('blockdev', ['--getsize64', device]);
  return {
    path: device,
    bytes: Number(stdout),
    rotational: false,
    contents: await inspectContents(device),
    mirror: { uuid, halves },
  };
}

const lsblkSchema = z.object({
  blockdevices: z.tuple([z.object({ ro: z.boolean(), rm: z.boolean(), 'log-sec': z.number() })]),
});

/** What is on a disk; of one that cannot be read, that, so that it does not keep the blade from using another. */
export async function inspectContents(path: string): Promise<DiskFacts['contents']> {
  const columns = 'RO,RM,LOG-SEC';
  const { stdout } = await run('lsblk', ['--json', '--bytes', '--nodeps', '--output', columns, path]);
  const [{ ro, rm, 'log-sec': sectorBytes }] = lsblkSchema.parse(JSON.parse(stdout)).blockdevices;
  const facts = { sectorBytes, readOnly: ro, removable: rm };
  try {
    const disk = await open(path, 'r');
    try {
      const start = await readAt(disk, 0);
      const { label, partitions } = await readTable(path, disk, sectorBytes);
      return {
        ...facts,
        ...(label === undefined ? {} : { table: label }),
        partitions,
        signatures: await signaturesOn(path),
        written: !isZero(start),
        digest: createHash('sha256').update(start).digest('hex'),
      };
    } finally {
      await disk.close();
    }
  } catch (error) {
    const unreadable = describeError(error).slice(0, 500);
    return { ...facts, partitions: [], signatures: [], written: true, digest: '', unreadable };
  }
}

const tableSchema = z.object({
  partitiontable: z.object({
    label: z.string(),
    partitions: z
      .array(
        z.object({
          node: z.string(),
          /** Sectors. */
          start: z.number(),
          size: z.number(),
          type: z.string().default(''),
          uuid: z.string().default(''),
          name: z.string().default(''),
        }),
      )
      .default([]),
  }),
});

/** As it stands on the disk: udev, which would know the names, does not run in the initrd. */
async function readTable(
  path: string,
  disk: FileHandle,
  sectorBytes: number,
): Promise<{ label?: string; partitions: PartitionFacts[] }> {
  const text = await tableOf(path);
  if (text === undefined) return { partitions: [] };
  const { label, partitions } = tableSchema.parse(JSON.parse(text)).partitiontable;
  const found: PartitionFacts[] = [];
  for (const { node, name, uuid, type, ...sectors } of partitions) {
    const [start, bytes] = [sectors.start * sectorBytes, sectors.size * sectorBytes];
    const { fileSystem, array } = await signatureAt(path, start, bytes);
    found.push({
      number: Number(/\d+$/.exec(node)?.[0] ?? 0),
      path: node,
      name: name.slice(0, 72),
      uuid: uuid.toLowerCase(),
      type,
      start,
      bytes,
      ...(fileSystem === undefined ? {} : { fileSystem }),
      ...(array === undefined ? {} : { array }),
      blank: fileSystem === undefined && isZero((await readAt(disk, start)).subarray(0, bytes)),
    });
  }
  return { label, partitions: found };
}

/** Undefined where there is no partition table. */
async function tableOf(path: string): Promise<string | undefined> {
  try {
    return (await run('sfdisk', ['--json', path])).stdout;
  } catch (error) {
    const isNone = error instanceof ProgramFailed && /does not contain a recognized/.test(error.message);
    if (isNone) return undefined;
    throw error;
  }
}

/** The file system in a part of a disk, as blkid names it; of a part of an array of mdadm, which one it is, too. */
async function signatureAt(
  path: string,
  start: number,
  bytes: number,
): Promise<{ fileSystem?: string; array?: string }> {
  const part = ['--offset', String(start), '--size', String(bytes)];
  try {
    const { stdout } = await run('blkid', ['--probe', ...part, '--output', 'export', path]);
    const said = (key: string): string | undefined => new RegExp(`^${key}=(.*)$`, 'm').exec(stdout)?.[1];
    const [fileSystem, array] = [said('TYPE'), said('UUID')];
    if (fileSystem === undefined) return {};
    return fileSystem === 'linux_raid_member' && array !== undefined ? { fileSystem, array } : { fileSystem };
  } catch (error) {
    if (error instanceof ProgramFailed && error.status === BLKID_NOTHING) return {};
    throw error;
  }
}

/** blkid's exit status when it finds nothing. */
const BLKID_NOTHING = 2;

const wipefsSchema = z.object({ signatures: z.array(z.object({ type: z.string() })) });

async function signaturesOn(path: string): Promise<string[]> {
  const { stdout } = await run('wipefs', ['--no-act', '--json', path]);
  if (stdout.trim() === '') return [];
  return [...new Set(wipefsSchema.parse(JSON.parse(stdout)).signatures.map(({ type }) => type))];
}

async function readAt(disk: FileHandle, position: number): Promise<Buffer> {
  const { buffer, bytesRead } = await disk.read(Buffer.alloc(LOOKED_AT), 0, LOOKED_AT, position);
  return buffer.subarray(0, bytesRead);
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}
