import type { Command } from 'commander';
import { stringify } from 'yaml';
import { loadFleet } from '../fleet/load.ts';
import { resolveBlade, resolveFleet } from '../fleet/resolve.ts';
import { bootsCommand } from './boots.ts';
import { contextOf, leaf, noun } from './command.ts';
import { table } from './output.ts';

export function bladeCommands(signal: AbortSignal): Command {
  return noun('blade', 'the servers of the fleet', [list(signal), show(signal), bootsCommand(signal)]);
}

function list(signal: AbortSignal): Command {
  return leaf('list', 'list the blades of the fleet folder', [
    'bladeroot blade list',
    'bladeroot blade list --json',
  ]).action(async (_options, command: Command) => {
    const { fleetDirectory, output } = contextOf(command, signal);
    const blades = resolveFleet(await loadFleet(fleetDirectory));
    const rows = blades.map((blade) => [
      blade.name,
      blade.address,
      blade.mac,
      blade.profiles.join(' '),
      blade.services.start.join(' '),
    ]);
    const headings = ['BLADE', 'ADDRESS', 'MAC', 'PROFILES', 'STARTS'];
    output.result(blades, rows.length === 0 ? 'no blades' : table(headings, rows));
  });
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
