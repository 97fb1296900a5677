/**
 * Mirrors of bladeroot, by mdadm(8): found, made, completed. A mirror that was only started is not written, also where a
 * half of it is gone: the kernel keeps it so until something is written to it (md(4), `start_ro`).
 */
import { readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { DATA_OFFSET } from '../disks/mirror.ts';
import type { OneDiskPlan } from '../disks/plan.ts';
import { BladerootError } from '../errors.ts';
import { MIRROR_HALF } from '../fleet/layout.ts';
import type { DiskFacts, PartitionFacts } from '../fleet/machine.ts';
import { namesIn, readIfThere } from '../system/read-file.ts';
import { run } from '../system/run.ts';
import { isThere } from './file-systems.ts';

const MDADM = 'mdadm';
const START_READ_ONLY = '/sys/module/md_mod/parameters/start_ro';

/** @throws BladerootError `PROGRAM_MISSING` */
export async function requireMdadm(): Promise<void> {
  if (await isThere(MDADM)) return;
  throw new BladerootError('PROGRAM_MISSING', 'disks.raid is 1, and the initrd has no mdadm', {
    hint: 'install mdadm (sys-fs/mdadm) in the tree, pack it and publish; nothing was written',
  });
}

/** A mirror that runs. */
export interface RunningMirror {
  device: string;
  uuid: string;
  /** Paths of the partitions that it runs on. */
  halves: string[];
}

/** The mirrors of which these disks have halves, each started if it was not; none where there is no mdadm. */
export async function startMirrors(disks: readonly DiskFacts[]): Promise<RunningMirror[]> {
  const halves = disks.flatMap(({ contents }) =>
    contents.partitions.filter(({ name }) => name === MIRROR_HALF),
  );
  if (!halves.some(({ array }) => array !== undefined) || !(await isThere(MDADM))) return [];
  const running = await runningMirrors();
  const byArray = Map.groupBy(halves, ({ array }) => array);
  for (const [uuid, parts] of byArray) {
    if (uuid === undefined || running.some((mirror) => mirror.uuid === uuid)) continue;
    await start(freeDevice(running), uuid, parts);
    running.splice(0, running.length, ...(await runningMirrors()));
  }
  return running.filter(({ uuid }) => byArray.has(uuid));
}

/** Both halves, or the one that is there; the newer one where they are not alike. One that cannot be started stays stopped. */
async function start(device: string, uuid: string, parts: readonly PartitionFacts[]): Promise<void> {
  await loadDriver();
  const halves = parts.map(({ path }) => path);
  try {
    await writeFile(START_READ_ONLY, '1');
    await run(MDADM, ['--quiet', '--assemble', '--run', `--uuid=${uuid}`, device, ...halves]);
  } catch {
    // What is in them is then for people: their disks are not touched.
    await run(MDADM, ['--quiet', '--stop', device]).catch(() => undefined);
  }
}

/** Built in where it cannot be loaded, or missing, as mdadm will say. */
async function loadDriver(): Promise<void> {
  await run('modprobe', ['--quiet', 'raid1']).catch(() => undefined);
}

function freeDevice(running: readonly RunningMirror[]): string {
  for (let number = 127; ; number--) {
    const device = `/dev/md${number}`;
    if (!running.some((mirror) => mirror.device === device)) return device;
  }
}

/** By what the kernel shows of them; those of one level that have two halves. */
export async function runningMirrors(): Promise<RunningMirror[]> {
  const names = (await namesIn('/sys/block')).filter((name) => /^md\d+$/.test(name)).sort();
  const found: RunningMirror[] = [];
  for (const name of names) {
    const uuid = (await readIfThere(`/sys/block/${name}/md/uuid`))?.trim();
    const level = (await readIfThere(`/sys/block/${name}/md/level`))?.trim();
    if (uuid === undefined || level !== 'raid1') continue;
    found.push({ device: `/dev/${name}`, uuid, halves: await halvesOf(`/dev/${name}`) });
  }
  return found;
}

/** Those that have all that the mirror has, or are getting it. */
export async function halvesOf(device: string): Promise<string[]> {
  return await devicesOf(basename(device), (state) => !/faulty/.test(state));
}

/** Those that the kernel does not write any more, as they have failed. */
export async function failedHalves(device: string): Promise<string[]> {
  return await devicesOf(basename(device), (state) => /faulty/.test(state));
}

/** @param isMeant by the words of the kernel (Documentation/admin-guide/md.rst, `dev-XXX/state`) */
async function devicesOf(name: string, isMeant: (state: string) => boolean): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await namesIn(`/sys/block/${name}/md`)) {
    if (!entry.startsWith('dev-')) continue;
    // One that is taken out meanwhile has none.
    const state = await readFile(`/sys/block/${name}/md/${entry}/state`, 'utf8').catch(() => undefined);
    if (state !== undefined && isMeant(state)) found.push(`/dev/${entry.slice(4).replaceAll('!', '/')}`);
  }
  return found.sort();
}

/** Stops mirrors that have a part of a disk, before that disk is divided anew. */
export async function stopMirrorsOn({ contents }: DiskFacts): Promise<void> {
  const own = new Set(contents.partitions.map(({ path }) => path));
  for (const { device, halves } of await runningMirrors()) {
    if (halves.some((half) => own.has(half))) await run(MDADM, ['--quiet', '--stop', device]);
  }
}

/**
 * Makes a mirror of two partitions whose contents count for nothing. They are not made alike first, which takes hours:
 * what is written from now on is, and nothing reads what never was written.
 */
export async function createMirror(
  { disk }: Pick<OneDiskPlan, 'disk'>,
  halves: readonly string[],
): Promise<void> {
  await loadDriver();
  const kind = ['--level=1', `--raid-devices=${halves.length}`, '--metadata=1.2', '--bitmap=internal'];
  // By its name mdadm takes it for one of this machine, whatever that is called.
  const name = ['--homehost=any', '--name=bladeroot'];
  const place = [`--data-offset=${DATA_OFFSET / 1024}K`, `--size=${disk.bytes / 1024}K`];
  const how = ['--run', '--assume-clean', ...kind, ...name, ...place];
  await run(MDADM, ['--quiet', '--create', disk.path, ...how, ...halves]);
}

/** Takes a partition into a mirror, which writes all that it lacks to it from then on. */
export async function joinMirror(device: string, half: string): Promise<void> {
  const state = await readFile(`/sys/block/${basename(device)}/md/array_state`, 'utf8');
  if (/^(read-auto|readonly)/.test(state)) await run(MDADM, ['--quiet', '--readwrite', device]);
  try {
    // One that was a half of it before lacks little.
    await run(MDADM, ['--quiet', '--manage', device, '--re-add', half]);
  } catch {
    await run(MDADM, ['--quiet', '--zero-superblock', '--force', half]).catch(() => undefined);
    await run(MDADM, ['--quiet', '--manage', device, '--add', half]);
  }
}
