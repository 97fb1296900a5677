import { createHash } from 'node:crypto';
import type { DiskFacts } from '../fleet/machine.ts';

/**
 * What somebody who allows a disk to be wiped has seen: the disk and its first MiB, in which are its partition table and
 * their random UUIDs, or the head of its file system. Once it is wiped it is another one, so that a permission that names
 * it counts once. 32 hex digits. Of two disks, which only both together may be wiped, there is one for both.
 */
export function fingerprintOf(...disks: readonly DiskFacts[]): string {
  const seen = disks.map(({ serial = '', bytes, contents }) =>
    JSON.stringify([serial, bytes, contents.digest]),
  );
  return createHash('sha256').update(seen.join('\n')).digest('hex').slice(0, 32);
}
