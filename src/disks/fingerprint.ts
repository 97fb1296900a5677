import { createHash } from 'node:crypto';
import type { DiskFacts } from '../fleet/machine.ts';

/**
 * What somebody who allows a disk to be wiped has seen: the disk and its first MiB, in which are its partition table and
 * their random UUIDs, or the head of its file system. Once it is wiped it is another one, so that a permission that names
 * it counts once. 32 hex digits.
 */
export function fingerprintOf({ serial = '', bytes, contents }: DiskFacts): string {
  const seen = JSON.stringify([serial, bytes, contents.digest]);
  return createHash('sha256').update(seen).digest('hex').slice(0, 32);
}
