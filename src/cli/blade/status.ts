/** What blades run, as they have last said it to this root. */
import type { Command } from 'commander';
import type { MirrorReport, RecordedEvent, UpdateReport, UpReport } from '../../events/catalogue.ts';
import { expandHosts, HOST_LIST_HELP } from '../../fleet/host-list.ts';
import { loadFleet } from '../../fleet/load.ts';
import { openDatabaseToRead } from '../../state/database.ts';
import { EventRepository } from '../../state/events.ts';
import { NextBoots, type BootTask } from '../../state/next-boots.ts';
import { contextOf, leaf } from '../command.ts';
import { table } from '../output.ts';

type LastUp = Extract<RecordedEvent, { type: 'blade.up' }>;

/** What a root knows of a blade; nothing, of one that it has never seen. */
interface Known {
  up?: LastUp | undefined;
  /** What it has said since of the slot that is not running. */
  update?: UpdateReport | undefined;
  /** How the mirror of its disks is, where it has one. */
  mirror?: MirrorReport | undefined;
  /** What somebody has asked of its next boot from the network. */
  asked?: BootTask | undefined;
}

export function statusCommand(signal: AbortSignal): Command {
  return leaf(
    'status',
    'on the root: which release blades run, how they are, what they start next, and from which they have fallen back',
    ['bladeroot blade status', 'bladeroot blade status @profile:web'],
  )
    .argument('[blades...]', `${HOST_LIST_HELP} (all of them when left out)`)
    .action(async (hosts: string[], _options, command: Command) => {
      const { stateDirectory, fleetDirectory, output } = contextOf(command, signal);
      const fleet = await loadFleet(fleetDirectory);
      const names = hosts.length === 0 ? Object.keys(fleet.blades) : expandHosts(hosts, fleet);
      const known = readKnown(stateDirectory, names);
      const blades = names.map((blade) => ({ blade, ...known.get(blade) }));
      const headings = ['BLADE', 'RELEASE', 'SLOT', 'UP SINCE', 'SERVICES', 'NEXT START', 'FELL BACK FROM'];
      const rows = blades.map((each) => [each.blade, ...cells(each)]);
      output.result(blades, rows.length === 0 ? 'no blades' : table(headings, rows));
    });
}

function cells({ up, update, mirror, asked }: Known): string[] {
  const next = asked === undefined ? (update === undefined ? '' : NEXT[update.state](update)) : ASKED[asked];
  if (up === undefined) return ['never seen', '', '', '', next];
  const since = new Date(up.time).toLocaleString('sv-SE');
  return [
    String(up.release),
    `${up.slot ?? 'memory'} (${up.from})`,
    since,
    up.services + mirrorText(mirror),
    next,
    badText(up),
  ];
}

const NEXT: Record<UpdateReport['state'], (update: UpdateReport) => string> = {
  ready: ({ release, slot }) => `${release} in ${slot}`,
  started: ({ release }) => `${release} on its way`,
  failed: ({ release, message }) => `${release} failed: ${message}`,
};

const ASKED: Record<BootTask, string> = { deploy: 'deployed again', rescue: 'rescue system' };

/** Nothing is said of one that is whole. */
function mirrorText(mirror: MirrorReport | undefined): string {
  return mirror === undefined || mirror.state === 'whole' ? '' : `; ${mirror.message}`;
}

function badText({ bad }: UpReport): string {
  return bad === undefined ? '' : `${bad.release}: ${bad.reason}`;
}

function readKnown(stateDirectory: string, names: readonly string[]): Map<string, Known> {
  const database = openDatabaseToRead(stateDirectory);
  if (database === undefined) return new Map();
  try {
    const [events, nextBoots] = [new EventRepository(database), new NextBoots(database)];
    return new Map(
      names.map((name) => {
        const up = events.lastUp(name);
        const update = events.lastUpdate(name, up?.id ?? 0);
        return [name, { up, update, mirror: events.lastMirror(name), asked: nextBoots.get(name) }];
      }),
    );
  } finally {
    database.close();
  }
}
