/** Takes a blade back to the release that it ran before. */
import type { Command } from 'commander';
import { bootAreas } from '../../blade/boot-areas.ts';
import { rollBack } from '../../blade/roll-back.ts';
import { runningSlot } from '../../blade/standby.ts';
import { BladerootError } from '../../errors.ts';
import type { UpReport } from '../../events/catalogue.ts';
import { lockFolder, proposeEdit, writeProposal } from '../../fleet/edit-folder.ts';
import { expandHosts, foldHosts, HOST_LIST_HELP, isOneBlade } from '../../fleet/host-list.ts';
import { loadFleet } from '../../fleet/load.ts';
import { openDatabaseToRead } from '../../state/database.ts';
import { EventRepository } from '../../state/events.ts';
import { contextOf, leaf, type Context } from '../command.ts';
import { confirm } from '../fleet/confirm.ts';
import { withSigningOptions, type SigningOptions } from '../signing.ts';
import { findPublishable, publishChange } from './publish-change.ts';

interface RollbackOptions extends SigningOptions {
  local?: true;
  yes?: true;
  publish: boolean;
}

export function rollbackCommand(signal: AbortSignal): Command {
  const command = leaf(
    'rollback',
    'on the root: pin blades to the release that each ran before, which its other slot still holds',
    [
      'bladeroot blade rollback web01',
      'bladeroot blade rollback @profile:web',
      'bladeroot blade rollback --local      # on the blade: its other slot from the next start on, also without a root',
      'bladeroot blade unset web01 pin       # later: it follows the fleet again, from the next publishing on',
    ],
  )
    .argument('[blades...]', HOST_LIST_HELP)
    .option('--local', 'this machine, which is a blade')
    .option('-y, --yes', 'do it without a question')
    .option('--no-publish', 'only change the fleet folder: it counts from the next `release publish` on');
  return withSigningOptions(command).action(
    async (hosts: string[], options: RollbackOptions, self: Command) => {
      const context = contextOf(self, signal);
      if (options.local !== true) {
        if (hosts.length === 0) self.error('error: name the blades, or say --local on the blade itself');
        await pinBack(context, hosts, options);
      } else {
        if (hosts.length > 0)
          self.error('error: --local is for the machine that this runs on: name no blades');
        await rollBackHere(context);
      }
    },
  );
}

async function rollBackHere({ stateDirectory, output }: Context): Promise<void> {
  const done = await rollBack(
    stateDirectory,
    await runningSlot(),
    await bootAreas((line) => output.step(line)),
  );
  output.result(
    done,
    `from its next start on, this blade runs release ${done.release}, in slot ${done.slot}; release ${done.left} is not installed again by itself`,
  );
}

/**
 * A pin is the way by which a root says what a blade is to run: signed, known to every other root, and as good for a blade
 * that is switched off.
 */
async function pinBack(context: Context, hosts: string[], options: RollbackOptions): Promise<void> {
  const { fleetDirectory, stateDirectory, output, signal } = context;
  const blades = expandHosts(hosts, await loadFleet(fleetDirectory)).map((blade) => {
    return { blade, ...releaseBefore(readUps(stateDirectory, blade), blade) };
  });
  const asked = blades.map(
    ({ blade, from, to }) => `pin ${blade} to release ${to} (it came up with ${from})`,
  );
  if (options.yes !== true && !(await confirm(`${asked.join('\n')}?`, signal))) {
    throw new BladerootError('NOT_CONFIRMED', 'nothing is changed');
  }
  const unlock = await lockFolder(fleetDirectory, signal);
  try {
    const publishable = await findPublishable(context, options);
    const proposal = await proposeEdit(fleetDirectory, () =>
      blades.map(({ blade, to }) => ({ path: ['blades', blade, 'pin'], value: to })),
    );
    await writeProposal(fleetDirectory, proposal);
    const release =
      publishable &&
      (await publishChange(context, { ...publishable, message: whyPublished(blades) }, proposal.after));
    const values = blades.map(({ blade, to }) => {
      return { blade, pin: to, ...(release === undefined ? {} : { release }) };
    });
    const lines = blades.map(({ blade, to }) =>
      release === undefined
        ? `${blade} is pinned to release ${to}; it counts from the next \`bladeroot release publish\` on`
        : `${blade} is pinned to release ${to} by release ${release}: it goes back at its next start`,
    );
    output.result(isOneBlade(hosts) ? values[0] : values, lines.join('\n'));
  } finally {
    await unlock();
  }
}

/** `rollback of web[01-20] to release 3, of mail01 to release 2`. */
function whyPublished(blades: readonly { blade: string; to: number }[]): string {
  const parts = [...Map.groupBy(blades, ({ to }) => to)].map(([to, some]) => {
    return `of ${foldHosts(some.map(({ blade }) => blade))} to release ${to}`;
  });
  return `rollback ${parts.join(', ')}`;
}

/** What a blade has said each time that it was up, the oldest first. */
function readUps(stateDirectory: string, name: string): UpReport[] {
  const database = openDatabaseToRead(stateDirectory);
  if (database === undefined) return [];
  try {
    return new EventRepository(database).ofMachine(name).filter((event) => event.type === 'blade.up');
  } finally {
    database.close();
  }
}

/** A blade that has fallen back by itself stays where it is. @throws BladerootError `NO_EARLIER_RELEASE` */
function releaseBefore(ups: readonly UpReport[], name: string): { from: number; to: number } {
  const last = ups.at(-1);
  const bad = last?.bad?.release;
  const to =
    bad === undefined ? ups.findLast(({ release }) => release !== last?.release)?.release : last?.release;
  if (last !== undefined && to !== undefined) return { from: bad ?? last.release, to };
  throw new BladerootError('NO_EARLIER_RELEASE', `this root has not seen ${name} up with another release`, {
    hint: `\`bladeroot release list\` shows those that there are: bladeroot blade set ${name} --pin N, then publish`,
  });
}
