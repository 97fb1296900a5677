import type { Command } from 'commander';
import { expandHosts, HOST_LIST_HELP } from '../fleet/host-list.ts';
import { loadFleet } from '../fleet/load.ts';
import { resolveBlade, resolveFleet } from '../fleet/resolve.ts';
import { addCommand } from './blade/add.ts';
import { adoptCommand } from './blade/adopt.ts';
import { approveCommand } from './blade/approve.ts';
import { reinstallCommand, rescueCommand } from './blade/next-boot.ts';
import { listPending } from './blade/pending.ts';
import { bootsCommand } from './blade/boots.ts';
import { disksCommand } from './blade/disks.ts';
import { editCommand } from './blade/edit.ts';
import { exportCommand, importCommand } from './blade/table.ts';
import { rollbackCommand } from './blade/rollback.ts';
import { showCommand } from './blade/show.ts';
import { updateCommand } from './blade/update.ts';
import { verifyCommand } from './blade/verify.ts';
import { statusCommand } from './blade/status.ts';
import { contextOf, leaf, noun, type Context } from './command.ts';
import { removeCommand, setCommand, unsetCommand } from './fleet/entries.ts';
import { table } from './output.ts';

export function bladeCommands(signal: AbortSignal): Command {
  return noun('blade', 'the servers of the fleet', [
    list(signal),
    showCommand(signal),
    statusCommand(signal),
    addCommand(signal),
    setCommand('blade', signal),
    unsetCommand('blade', signal),
    removeCommand('blade', signal),
    importCommand(signal),
    exportCommand(signal),
    editCommand(signal),
    bootsCommand(signal),
    disksCommand(signal),
    rollbackCommand(signal),
    adoptCommand(signal),
    approveCommand(signal),
    updateCommand(signal),
    reinstallCommand(signal),
    rescueCommand(signal),
    verifyCommand(signal),
  ]);
}

function list(signal: AbortSignal): Command {
  return leaf(
    'list',
    'list the blades of the fleet folder, or the machines that wait for a name, for approval or for their disks',
    [
      'bladeroot blade list',
      "bladeroot blade list @profile:web '!web07'",
      'bladeroot blade list --pending    # on the root',
    ],
  )
    .argument('[blades...]', `${HOST_LIST_HELP} (all of them when left out)`)
    .option(
      '--pending',
      'the machines that have said hello to this root and are no blades yet, and blades whose identity is not accepted, or whose disks wait',
    )
    .action(async (hosts: string[], { pending }: { pending?: true }, command: Command) => {
      const context = contextOf(command, signal);
      if (pending === true) await listPending(context);
      else await listBlades(context, hosts);
    });
}

async function listBlades({ fleetDirectory, output }: Context, hosts: string[]): Promise<void> {
  const fleet = await loadFleet(fleetDirectory);
  const blades =
    hosts.length === 0
      ? resolveFleet(fleet)
      : expandHosts(hosts, fleet).map((name) => resolveBlade(fleet, name));
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
