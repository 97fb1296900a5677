/** What blades run, as they have last said it to this root. */
import type { Command } from 'commander';
import type { RecordedEvent, UpReport } from '../../events/catalogue.ts';
import { expandHosts, HOST_LIST_HELP } from '../../fleet/host-list.ts';
import { loadFleet } from '../../fleet/load.ts';
import { openDatabaseToRead } from '../../state/database.ts';
import { EventRepository } from '../../state/events.ts';
import { contextOf, leaf } from '../command.ts';
import { table } from '../output.ts';

type LastUp = Extract<RecordedEvent, { type: 'blade.up' }>;

export function statusCommand(signal: AbortSignal): Command {
  return leaf(
    'status',
    'on the root: which release blades run, how they are, and from which they have fallen back',
    ['bladeroot blade status', 'bladeroot blade status @profile:web'],
  )
    .argument('[blades...]', `${HOST_LIST_HELP} (all of them when left out)`)
    .action(async (hosts: string[], _options, command: Command) => {
      const { stateDirectory, fleetDirectory, output } = contextOf(command, signal);
      const fleet = await loadFleet(fleetDirectory);
      const names = hosts.length === 0 ? Object.keys(fleet.blades) : expandHosts(hosts, fleet);
      const ups = readLastUps(stateDirectory, names);
      const blades = names.map((blade) => ({ blade, up: ups.get(blade) }));
      const headings = ['BLADE', 'RELEASE', 'SLOT', 'UP SINCE', 'SERVICES', 'FELL BACK FROM'];
      const rows = blades.map(({ blade, up }) => [blade, ...(up === undefined ? ['never seen'] : cells(up))]);
      output.result(blades, rows.length === 0 ? 'no blades' : table(headings, rows));
    });
}

function cells(up: LastUp): string[] {
  const since = new Date(up.time).toLocaleString('sv-SE');
  return [String(up.release), `${up.slot ?? 'memory'} (${up.from})`, since, up.services, badText(up)];
}

function badText({ bad }: UpReport): string {
  return bad === undefined ? '' : `${bad.release}: ${bad.reason}`;
}

function readLastUps(stateDirectory: string, names: readonly string[]): Map<string, LastUp> {
  const database = openDatabaseToRead(stateDirectory);
  if (database === undefined) return new Map();
  try {
    const events = new EventRepository(database);
    return new Map(
      names.flatMap((name) => {
        const up = events.lastUp(name);
        return up === undefined ? [] : [[name, up]];
      }),
    );
  } finally {
    database.close();
  }
}
