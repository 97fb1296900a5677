/** The lines of fstab(5) for what a layout mounts. Pure. */
import { PARTITIONS, type Layout } from '../fleet/layout.ts';
import type { PartitionFacts } from '../fleet/machine.ts';

/** What is mounted, where, with which file system and options, and fstab's last two numbers. */
export type FstabLine = readonly [what: string, where: string, fs: string, options: string, numbers: string];

/** Of a blade in memory: the persistent partition, which `/init` has mounted already, where there is one. */
export function memoryMounts(persist: Pick<PartitionFacts, 'name' | 'uuid'> | undefined): FstabLine[] {
  return persist === undefined ? [] : [[deviceOf(persist), '/persist', 'ext4', 'defaults', '0 2'], HOME];
}

/** Where a blade keeps what it must not forget. */
const HOME: FstabLine = ['/persist/bladeroot', '/var/lib/bladeroot', 'none', 'bind', '0 0'];

/**
 * By PARTUUID: the names of partitions stand a second time on a disk that came out of another blade. Further partitions
 * that the disk has not got yet, as only the agent makes them, are left out.
 * @param partitions of the disk, or of the mirror, that has the slot
 */
export function fstabOf(
  partitions: readonly Pick<PartitionFacts, 'name' | 'uuid'>[],
  { partitions: wanted }: Layout,
  slot: 'a' | 'b',
): FstabLine[] {
  const device = (name: string): string =>
    deviceOf(partitions.find((one) => one.name === name) ?? { name, uuid: '' });
  const further = wanted
    .filter(({ kind, name }) => kind === 'further' && partitions.some((one) => one.name === name))
    .flatMap(({ name, fs = 'ext4', mount, options }): FstabLine[] => {
      const said = options.join(',');
      if (fs === 'swap') return [[device(name), 'none', 'swap', said || 'sw', '0 0']];
      // xfs and btrfs have nothing that fsck would do at boot.
      const pass = fs === 'ext4' || fs === 'vfat' ? '0 2' : '0 0';
      return mount === undefined ? [] : [[device(name), mount, fs, said || 'defaults', pass]];
    });
  // A mirror is started from two of them, of which either may be gone: blade/boot-areas.ts mounts what there is.
  const esp: FstabLine[] = wanted.some(({ kind }) => kind === 'esp')
    ? [[device(PARTITIONS.esp), '/boot/efi', 'vfat', 'umask=0077', '0 2']]
    : [];
  const persist = wanted.find(({ kind }) => kind === 'persist')?.options.join(',');
  return [
    [device(PARTITIONS[slot]), '/', 'ext4', 'errors=remount-ro', '0 1'],
    ...esp,
    [device(PARTITIONS.persist), '/persist', 'ext4', persist || 'defaults', '0 2'],
    HOME,
    // What is mounted within another comes after it.
    ...further.toSorted(([, a], [, b]) => a.split('/').length - b.split('/').length),
  ];
}

function deviceOf({ name, uuid }: Pick<PartitionFacts, 'name' | 'uuid'>): string {
  return uuid === '' ? `PARTLABEL=${name}` : `PARTUUID=${uuid}`;
}
