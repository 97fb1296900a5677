/** What the root knows of a blade's disks, and what would become of them. */
import { roomFor } from '../../agent/room.ts';
import { planDisks, type DiskPlan, type Refusal } from '../../disks/plan.ts';
import { BladerootError } from '../../errors.ts';
import type { Layout } from '../../fleet/layout.ts';
import { identityOf, type DiskFacts, type Machine } from '../../fleet/machine.ts';
import type { ResolvedBlade } from '../../fleet/resolve.ts';
import { findSnapshot } from '../../release/find-snapshot.ts';
import { readPublicKey } from '../../release/keys.ts';
import { ReleaseRepository } from '../../release/repository.ts';
import type { KnownMachine } from '../../state/machines.ts';
import type { Context } from '../command.ts';
import { readStore } from '../store.ts';
import { readKnown } from './pending.ts';

/**
 * The machine that a blade is, as it said hello last.
 * @throws BladerootError `NO_HELLO`
 */
export function knownMachineOf({ stateDirectory }: Context, blade: ResolvedBlade): KnownMachine {
  const known = readKnown(stateDirectory);
  const isThis = ({ machine }: KnownMachine): boolean => {
    const { macs, serial, guid } = identityOf(machine);
    if (blade.mac !== undefined) return macs.includes(blade.mac);
    return blade.serial === undefined ? blade.guid === guid : blade.serial === serial;
  };
  const found = known.find((one) => one.blade === blade.name) ?? known.find(isThis);
  if (found !== undefined) return found;
  throw new BladerootError('NO_HELLO', `no machine has said hello to this root as ${blade.name}`, {
    hint: 'boot it from the network while `bladeroot serve` runs here, then try again',
  });
}

/** @throws BladerootError `NO_DISKS_REPORTED` */
export function reportedDisks(machine: Machine): DiskFacts[] {
  return machine.disks.map((disk) => {
    const { contents } = disk;
    if (contents !== undefined) return { ...disk, contents };
    throw new BladerootError('NO_DISKS_REPORTED', `${machine.mac} has not said what is on ${disk.path}`, {
      hint: 'publish a release with this version of bladeroot, and boot it from the network once more',
    });
  });
}

/** What the agent would do with the disks, for the image that the fleet runs. */
export async function planReported(
  context: Context,
  machine: Machine,
  layout: Layout,
): Promise<DiskPlan | Refusal> {
  return planDisks(reportedDisks(machine), layout, await neededBytes(context));
}

/** For the current release; nothing where there is none yet. */
async function neededBytes(context: Context): Promise<number> {
  const publicKey = await readPublicKey(context.stateDirectory);
  const release = await new ReleaseRepository(context.stateDirectory, publicKey).current();
  if (release === undefined) return 0;
  return roomFor(await findSnapshot(await readStore(context), release.statement.snapshot.id, publicKey));
}
