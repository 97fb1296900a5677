/** Writes a new blade into a fleet folder. */
import { BladerootError } from '../errors.ts';
import { proposeEdit, writeProposal } from './edit-folder.ts';
import type { Fleet } from './schema.ts';

export interface NewBlade {
  mac: string;
  address: string;
  /** One is written as a word, several as a list. */
  profile?: string[] | undefined;
  /** Its accepted identity. */
  recipient?: string | undefined;
  /** What its disk carries and may lose, by its fingerprint. */
  wipe?: string | undefined;
}

/**
 * Adds a blade where the others stand, while the folder is locked.
 * @param beforeWriting is given the fleet as it will be; when it throws, nothing is written
 * @returns the fleet with the blade in it, and the file in which it is, relative to the folder
 * @throws BladerootError `NAME_TAKEN`, or `BAD_EDIT` when the fleet would have faults with it; all files are as they were
 */
export async function addBladeTo(
  folder: string,
  name: string,
  { mac, address, profile = [], recipient, wipe }: NewBlade,
  beforeWriting: (fleet: Fleet) => Promise<void> = async () => {},
): Promise<{ fleet: Fleet; file: string }> {
  const value = {
    mac,
    address,
    ...(profile.length === 0 ? {} : { profile: profile.length === 1 ? profile[0] : profile }),
    ...(recipient === undefined ? {} : { recipient }),
    ...(wipe === undefined ? {} : { disks: { wipe } }),
  };
  const proposal = await proposeEdit(folder, ({ fleet }) => {
    if (Object.hasOwn(fleet.blades, name))
      throw new BladerootError('NAME_TAKEN', `there is a blade ${name} already`);
    return [{ path: ['blades', name], value }];
  });
  await beforeWriting(proposal.after);
  await writeProposal(folder, proposal);
  return { fleet: proposal.after, file: [...proposal.edited.keys()].join(', ') };
}
