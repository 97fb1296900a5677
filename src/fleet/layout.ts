/** How a blade's disk is to be divided, as its `disks` says, with what that leaves out filled in. Pure. */
import type { Disks, FileSystem } from './disk-fields.ts';

/** GPT names of bladeroot's own partitions: the agent, /init and GRUB find them by these. */
export const PARTITIONS = {
  biosBoot: 'bladeroot-bios',
  esp: 'bladeroot-esp',
  a: 'bladeroot-a',
  b: 'bladeroot-b',
  persist: 'bladeroot-persist',
} as const;

/** GPT name of what a disk of a mirror has for it; the mirror has a GPT of its own, with slots and all that is not booted from. */
export const MIRROR_HALF = 'bladeroot-raid';

/** What the GPT names of all partitions that bladeroot makes begin with. */
export const OWN_PREFIX = 'bladeroot-';

/** The partitions of `disks.partitions` that cannot be had: they are there anyhow. */
export const RESERVED_PARTITIONS: readonly string[] = ['bios', 'esp', 'a', 'b', 'raid'];
export const PERSIST_NAME = 'persist';

const MiB = 1024 ** 2;
const BIOS_BOOT_BYTES = 2 * MiB;
const ESP_BYTES = 512 * MiB;

export type Size =
  | { bytes: number }
  /** Of what a disk has for partitions. */
  | { percent: number }
  | 'rest'
  /** A slot without a size: a third of what the others leave. */
  | 'slot';

/** `system`: what no file system is asked of here: GRUB's own area, and slots, which get theirs when they are installed. */
export type PartitionKind = 'bios' | 'esp' | 'slot' | 'persist' | 'further' | 'half';

export interface WantedPartition {
  /** In the GPT. */
  name: string;
  kind: PartitionKind;
  size: Size;
  /** None for GRUB's own area, and for slots, which get theirs when they are installed. */
  fs?: FileSystem;
  mount?: string;
  options: string[];
  label?: string;
  keep: boolean;
}

export interface Layout {
  use: Disks['use'];
  /** In the order in which a blank disk gets them: what takes the rest comes last, where it can grow. */
  partitions: WantedPartition[];
  /**
   * Of a layout on two disks: what each of them has, to boot from and for its half of the mirror. `partitions` are those of
   * the mirror then. Undefined: it is one disk, which has them all.
   */
  halves: WantedPartition[] | undefined;
  /** `ask`, `always`, or the fingerprint of what may be wiped (disks/fingerprint.ts). */
  wipe: string;
}

/** @throws Error for a size of a partition that `fleet check` would have refused */
export function layoutOf({ use, raid, slot, partitions, wipe = 'ask' }: Disks): Layout {
  const slots = slot === undefined ? ('slot' as const) : sizeOf(slot);
  const { [PERSIST_NAME]: persist = {}, ...further } = partitions;
  const all = [
    ...Object.entries(further).map(([name, wanted]): WantedPartition => {
      const { fs = 'ext4', mount, label } = wanted;
      return {
        name: `${OWN_PREFIX}${name}`,
        kind: 'further',
        size: sizeOf(wanted.size ?? ''),
        fs,
        ...(mount === undefined ? {} : { mount }),
        ...(label === undefined ? {} : { label }),
        options: wanted.options ?? [],
        keep: wanted.keep ?? false,
      };
    }),
    own('persist', PARTITIONS.persist, sizeOf(persist.size ?? 'rest'), {
      fs: 'ext4',
      mount: '/persist',
      options: persist.options ?? [],
      keep: persist.keep ?? false,
    }),
  ];
  const bootAreas = [
    own('bios', PARTITIONS.biosBoot, { bytes: BIOS_BOOT_BYTES }),
    own('esp', PARTITIONS.esp, { bytes: ESP_BYTES }, { fs: 'vfat', mount: '/boot/efi', label: 'BLADEROOT' }),
  ];
  const rest = [
    own('slot', PARTITIONS.a, slots),
    own('slot', PARTITIONS.b, slots),
    ...all.filter(({ size }) => size !== 'rest'),
    ...all.filter(({ size }) => size === 'rest'),
  ];
  if (raid !== 1) return { use, wipe, partitions: [...bootAreas, ...rest], halves: undefined };
  // It does not grow by itself: both halves have to.
  const halves = [...bootAreas, own('half', MIRROR_HALF, 'rest', { keep: true })];
  return { use, wipe, partitions: rest, halves };
}

function own(
  kind: PartitionKind,
  name: string,
  size: Size,
  more: Partial<WantedPartition> = {},
): WantedPartition {
  return { name, kind, size, options: [], keep: false, ...more };
}

/** The size that a text of disk-fields.ts means. */
export function sizeOf(text: string): Size {
  if (text === 'rest') return 'rest';
  const [, number, unit] = /^(\d+)(%|MiB|GiB|TiB)$/.exec(text) ?? [];
  if (number === undefined || unit === undefined) throw new Error(`${JSON.stringify(text)} is not a size`);
  return unit === '%' ? { percent: Number(number) } : { bytes: bytesOf(text) };
}

/** `3GiB` in bytes. */
export function bytesOf(text: string): number {
  return Number.parseInt(text, 10) * 1024 ** ('KMGT'.indexOf(text.slice(-3, -2)) + 1);
}
