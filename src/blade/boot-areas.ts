/** The ESPs of all disks that a running blade can be started from: of a mirror two, of which either may be gone. */
import { mkdir, readFile, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BladerootError, describeError } from '../errors.ts';
import { PARTITIONS } from '../fleet/layout.ts';
import { runningMirrors, type RunningMirror } from '../storage/mirror.ts';
import { namesIn, readIfThere } from '../system/read-file.ts';
import { run } from '../system/run.ts';
import { volumeOf } from './disk-of.ts';

/** Where a blade on one disk has its ESP, by its fstab. */
const ESP = '/boot/efi';
/** Those of a mirror are mounted here, each under its device's name. */
const MOUNTS = '/run/bladeroot/esp';

/** The mirror that the running slot lies on; undefined where it lies on a disk. */
export async function ownMirror(): Promise<RunningMirror | undefined> {
  const volume = await volumeOf('/');
  return (await runningMirrors()).find(({ device }) => device === volume);
}

/**
 * Where they are mounted, which of a mirror is done here.
 * @param say for one that cannot be mounted while another can
 * @throws BladerootError `NO_BOOT_AREA`
 */
export async function bootAreas(say: (line: string) => void): Promise<string[]> {
  const mirror = await ownMirror();
  if (mirror === undefined) return [ESP];
  const mounted: string[] = [];
  for (const half of mirror.halves) {
    try {
      mounted.push(await mountBeside(half));
    } catch (error) {
      say(`the disk of ${half} cannot be made bootable: ${describeError(error)}`);
    }
  }
  if (mounted.length > 0) return mounted;
  throw new BladerootError('NO_BOOT_AREA', `${mirror.device} has no disk with an ESP`, {
    hint: 'look at `dmesg` and `lsblk`: both disks may be failing',
  });
}

/** @returns where the ESP of the disk that has this half is mounted */
async function mountBeside(half: string): Promise<string> {
  const disk = dirname(await realpath(`/sys/class/block/${basename(half)}`));
  for (const name of await namesIn(disk)) {
    const uevent = (await readIfThere(join(disk, name, 'uevent')).catch(() => undefined)) ?? '';
    if (!uevent.split('\n').includes(`PARTNAME=${PARTITIONS.esp}`)) continue;
    const directory = join(MOUNTS, name);
    const mounts = await readFile('/proc/mounts', 'utf8');
    if (mounts.split('\n').some((line) => line.split(' ')[1] === directory)) return directory;
    await mkdir(directory, { recursive: true });
    await run('mount', ['-t', 'vfat', '-o', 'umask=0077', `/dev/${name}`, directory]);
    return directory;
  }
  throw new Error('it has no ESP');
}
