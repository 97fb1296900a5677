import type { Command } from 'commander';
import { stringify } from 'yaml';
import { loadFleet } from '../fleet/load.ts';
import { resolveBlade, resolveFleet } from '../fleet/resolve.ts';
import { adoptCommand } from './blade/adopt.ts';
import { listPending } from './blade/pending.ts';
import { bootsCommand } from './blade/boots.ts';
import { contextOf, leaf, noun, type Context } from './command.ts';
import { table } from './output.ts';

export function bladeCommands(signal: AbortSignal): Command {
  return noun('blade', 'the servers of the fleet', [
    list(signal),
    show(signal),
    bootsCommand(signal),
    adoptCommand(signal),
  ]);
}

function list(signal: AbortSignal): Command {
  return leaf('list', 'list the blades of the fleet folder, or the machines that wait for a name', [
    'bladeroot blade list',
    'bladeroot blade list --pending    # on the root',
  ])
    .option('--pending', 'the machines that have said hello to this root and are no blades yet')
    .action(async ({ pending }: { pending?: true }, command: Command) => {
      const context = contextOf(command, signal);
      if (pending === true) listPending(context);
      else await listBlades(context);
    });
}

async function listBlades({ fleetDirectory, output }: Context): Promise<void> {
  const blades = resolveFleet(await loadFleet(fleetDirectory));
  const rows = blades.map((blade) => [
    blade.name,
    blade.address,
    blade.mac ?? blade.serial ?? blade.guid ?? '',
    blade.profiles.join(' '),
    blade.services.start.join(' '),
  ]);
  const headings = ['BLADE', 'ADDRESS', 'MACHINE', 'PROFILES', 'STARTS'];
  output.result(blades, rows.length === 0 ? 'no blades' : table(headings, rows));
}

function show(signal: AbortSignal): Command {
  return leaf('show', 'show all that a blade is, from defaults, profiles and itself', [
    'bladeroot blade show web01',
  ])
    .argument('<name>', 'the blade')
    .action(async (name: string, _options, command: Command) => {
      const { fleetDirectory, output } = contextOf(command, signal);
      const blade = resolveBlade(await loadFleet(fleetDirectory), name);
      output.result(blade, stringify(blade).trimEnd());
    });
}
