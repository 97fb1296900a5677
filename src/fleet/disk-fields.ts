/**
 * The fields of `disks`: part of schema.ts, and as they are written also part of a release (release/statement.ts). Sizes
 * stay text until a disk is there to be divided (layout.ts).
 */
import { z } from 'zod';
import { expects, listOf, mapOf, strict, text } from './field-types.ts';

const SIZE = '[1-9][0-9]*(MiB|GiB|TiB)';
const SHARE = '([1-9]|[1-9][0-9]|100)%';

export const FILE_SYSTEMS = ['ext4', 'xfs', 'btrfs', 'vfat', 'swap'] as const;
export type FileSystem = (typeof FILE_SYSTEMS)[number];

export const PICKS = ['smallest', 'largest', 'first-nvme'] as const;

const flag = (what: string) => z.boolean({ error: expects(what, 'true or false') });

/** What tells one disk from all others, or both disks of a mirror. */
function oneOrBoth(pattern: RegExp, what: string, right: string) {
  const one = text(pattern, what, right);
  return z.union([one, z.array(one).length(2)], {
    error: expects(`${what}, or a list of two`, `${right}, or for a mirror a list of two`),
  });
}

const choice = strict({
  path: oneOrBoth(/^\/dev\/[\w./:-]+$/, 'the path of a disk', 'one such as /dev/nvme0n1')
    .optional()
    .describe(
      'The disk with this path, such as /dev/nvme0n1, or for a mirror both, in a list; kernels number disks as they find them',
    ),
  serial: oneOrBoth(/^[!-~]([ -~]{0,126}[!-~])?$/, 'a serial number', 'what `bladeroot blade disks` shows')
    .optional()
    .describe('The disk with this serial number, or for a mirror both, in a list'),
  model: text(/^[!-~]([ -~]{0,126}[!-~])?$/, 'a model', 'a part of what `bladeroot blade disks` shows')
    .optional()
    .describe('Disks whose model has this in it'),
  size: text(
    new RegExp(`^(${SIZE})?\\.\\.(${SIZE})?$`),
    'a range of sizes',
    'two sizes such as 100GiB..2TiB, of which one can be left out',
  )
    .optional()
    .describe('Disks of a size such as 100GiB..2TiB, 100GiB.. or ..2TiB'),
  rotational: flag('whether a disk turns').optional().describe('true: hard disks only; false: none of them'),
  pick: z
    .enum(PICKS, { error: expects('how to choose among disks', `one of ${PICKS.join(', ')}`) })
    .optional()
    .describe(
      'Which of several: smallest, largest or first-nvme, and no other (of a mirror: the two smallest, ...); left out, the first that is blank',
    ),
});

const partition = strict({
  size: text(
    new RegExp(`^(${SIZE}|${SHARE}|rest)$`),
    'the size of a partition',
    'one such as 20GiB, a share of the disk such as 25%, or rest',
  )
    .optional()
    .describe('Such as 20GiB, a share of the disk such as 25%, or rest'),
  fs: z
    .enum(FILE_SYSTEMS, { error: expects('a file system', `one of ${FILE_SYSTEMS.join(', ')}`) })
    .optional()
    .describe('Its file system: ext4 (the default), xfs, btrfs, vfat or swap'),
  mount: text(
    /^(\/[A-Za-z0-9_@%+:,=-][A-Za-z0-9._@%+:,=-]*)+$/,
    'a mount point',
    'an absolute path such as /srv',
  )
    .optional()
    .describe('Where it is mounted; left out, it is not'),
  options: listOf(
    text(/^[!-+.-~-]+$/, 'a mount option', 'one such as noatime, each of several for itself'),
    'mount options such as [noatime]',
  )
    .optional()
    .describe('Mount options, as in fstab(5)'),
  label: text(/^[A-Za-z0-9_.-]+$/, 'a label', 'letters, digits, hyphens and dots such as data')
    .optional()
    .describe('The label of its file system'),
  keep: flag('whether it is kept')
    .optional()
    .describe(
      'true: it stays as it is, byte for byte, whatever else of the layout changes, and also when the disk is wiped',
    ),
});

/** `none`: a nearer layer takes the mirror away that another has asked for. */
const raid = z.union([z.literal(1), z.literal('none')], {
  error: expects('a RAID level of blades', '1, a mirror of two disks, or none'),
});

export const disksSchema = strict({
  use: choice.prefault({}).describe('Which disk it is; left out, the first blank one that is large enough'),
  raid: raid
    .optional()
    .describe(
      '1: all is on two disks, of which either may fail (mdadm mirrors them, and the blade starts from both); none, or left out: on one',
    ),
  table: z
    .enum(['gpt'], {
      error: expects('a partition table of blades', 'gpt: slots are found by names, which others lack'),
    })
    .optional()
    .describe('The partition table: gpt, the only one whose partitions have names'),
  slot: text(
    new RegExp(`^(${SIZE}|${SHARE})$`),
    'a size',
    'a whole number and its unit such as 3GiB, or a share of the disk such as 20%',
  )
    .optional()
    .describe(
      'Size of one of the two slots for an installed release, such as 3GiB or 20%; left out, a third of what the partitions leave, 32 GiB at the most',
    ),
  partitions: mapOf(
    text(
      /^[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?$/,
      'the name of a partition',
      '1 to 24 lower-case letters, digits and inner hyphens such as data',
    ),
    partition,
    '"NAME: { size: … }" lines, one for each partition',
  )
    .default({})
    .describe(
      "Further partitions by name, and the size of `persist`, bladeroot's own, which gets the rest unless it is given one",
    ),
  wipe: text(
    /^(ask|always|[0-9a-f]{32})$/,
    'what may be wiped',
    'ask, always, or what `bladeroot blade adopt NAME --wipe` writes',
  )
    .optional()
    .describe(
      'A disk that carries what bladeroot did not lay out: ask (the default) leaves it alone until `bladeroot blade adopt NAME --wipe`, which writes the fingerprint of what may be lost, once; always wipes it',
    ),
});

export type Disks = z.output<typeof disksSchema>;
