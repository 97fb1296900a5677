/** What makes up an initrd, read from its bytes. */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { BladerootError, describeError } from '../errors.ts';
import { firstFrame } from '../system/zstd.ts';
import { readCpio } from './cpio.ts';
import { groupOf, GROUPS, type Group } from './groups.ts';

export interface GroupSize {
  group: Group;
  files: number;
  /** Of the files' content, unpacked. */
  bytes: number;
  /** What it takes of the initrd. Where an archive holds several groups, its size is shared out by how they compress. */
  compressedBytes: number;
}

/** More than any initrd that a machine of 1 GiB could unpack. */
const MOST_BYTES = 2 ** 30;

/**
 * The groups that are in an initrd: zstd-compressed cpio archives, one behind the other.
 * @throws BladerootError `INITRD_FORMAT`
 */
export function describeInitrd(initrd: Buffer): GroupSize[] {
  const sizes = new Map<Group, GroupSize>();
  for (let at = 0; at < initrd.length;) {
    const { compressed, archive } = archiveAt(initrd, at);
    const parts = partsOf(archive);
    const weight = parts.reduce((sum, part) => sum + part.weight, 0);
    for (const { group, files, bytes, weight: own } of parts) {
      const size = sizes.get(group) ?? { group, files: 0, bytes: 0, compressedBytes: 0 };
      size.files += files;
      size.bytes += bytes;
      size.compressedBytes += Math.round((compressed.length * own) / weight);
      sizes.set(group, size);
    }
    at += compressed.length;
  }
  return GROUPS.flatMap((group) => sizes.get(group) ?? []);
}

function archiveAt(initrd: Buffer, at: number): { compressed: Buffer; archive: Buffer } {
  try {
    const compressed = firstFrame(initrd.subarray(at));
    return { compressed, archive: zstdDecompressSync(compressed, { maxOutputLength: MOST_BYTES }) };
  } catch (error) {
    throw new BladerootError(
      'INITRD_FORMAT',
      `this is no initrd of bladeroot: at byte ${at} there is no whole archive compressed by zstd (${describeError(error)})`,
    );
  }
}

type Part = Omit<GroupSize, 'compressedBytes'> & { weight: number };

function partsOf(archive: Buffer): Part[] {
  const files = [...readCpio(archive)].filter(({ type }) => type === 'file');
  const groups = Map.groupBy(files, ({ path }) => groupOf(path));
  return [...groups].map(([group, of]) => {
    const contents = of.map(({ content }) => content);
    const bytes = contents.reduce((sum, { length }) => sum + length, 0);
    const weight = groups.size === 1 ? 1 : roughly(Buffer.concat(contents));
    return { group, files: of.length, bytes, weight };
  });
}

/** Compressed, quickly. */
function roughly(content: Buffer): number {
  return zstdCompressSync(content, { params: { [constants.ZSTD_c_compressionLevel]: 1 } }).length;
}
