/**
 * By what a blade is known to be the one that was approved: an age identity, made on the blade and kept on its persistent
 * partition. A machine whose disks may not be touched yet has it in memory until they are laid out.
 */
import { join } from 'node:path';
import type { ReleaseBlade } from '../release/statement.ts';
import { acceptanceOf } from '../release/identify.ts';
import { fingerprint } from '../secrets/fingerprint.ts';
import {
  BLADE_IDENTITY,
  newIdentity,
  readBladeIdentity,
  writeIdentity,
  type Identity,
} from '../secrets/identity-file.ts';
import { run } from '../system/run.ts';
import { PARTITIONS } from '../fleet/layout.ts';
import type { DiskFacts, PartitionFacts } from '../fleet/machine.ts';
import { mountOnce } from '../slot/mounts.ts';

/**
 * The identity on the disk that bladeroot has laid out before, or a new one where there is none yet.
 * @param mountPoint where the persistent partition is mounted for as long as it is read
 * @throws BladerootError `BAD_IDENTITY`, `IDENTITY_EXPOSED`, `PROGRAM_FAILED`
 */
export async function findIdentity(disks: readonly DiskFacts[], mountPoint: string): Promise<Identity> {
  const persist = findPersist(disks);
  if (persist === undefined) return await newIdentity();
  await mountOnce(persist.path, mountPoint);
  try {
    return (await readBladeIdentity(join(mountPoint, 'bladeroot'))) ?? (await newIdentity());
  } finally {
    await run('umount', [mountPoint]);
  }
}

/** The persistent partition, once it has its file system: laying out may have been cut off. */
export function findPersist(disks: readonly DiskFacts[]): PartitionFacts | undefined {
  const partitions = disks.flatMap(({ contents }) => contents.partitions);
  return partitions.find(({ name, fileSystem }) => name === PARTITIONS.persist && fileSystem !== undefined);
}

/**
 * Keeps the identity in the blade's state directory, unless one is there.
 * @returns the one that is there then
 * @throws BladerootError `BAD_IDENTITY`, `IDENTITY_EXPOSED`
 */
export async function keepIdentity(stateDirectory: string, identity: Identity): Promise<Identity> {
  const kept = await readBladeIdentity(stateDirectory);
  if (kept !== undefined) return kept;
  await writeIdentity(join(stateDirectory, BLADE_IDENTITY), identity);
  return identity;
}

/** For the console, to be compared with what the root shows. */
export function describeIdentity(blade: Pick<ReleaseBlade, 'name' | 'recipient'>, recipient: string): string {
  const own = fingerprint(recipient);
  switch (acceptanceOf(blade, recipient)) {
    case 'accepted':
      return `the identity of this machine is ${own}, accepted for ${blade.name}`;
    case 'unapproved':
      return `the identity of this machine is ${own}; on the root, compare it and run: bladeroot blade approve ${blade.name}`;
    case 'other-identity':
      return `the identity of this machine is ${own}, and the one accepted for ${blade.name} is ${fingerprint(blade.recipient ?? '')}: it gets no secrets`;
  }
}
