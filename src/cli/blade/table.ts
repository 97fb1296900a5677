/** Blades out of the fleet folder and into it, as a table or as JSON. */
import { readFile } from 'node:fs/promises';
import { text as textOf } from 'node:stream/consumers';
import type { Command } from 'commander';
import { BladerootError, errorCode } from '../../errors.ts';
import { bladesAsCsv, bladesAsJson, bladesOfCsv, bladesOfJson, changesTo } from '../../fleet/blade-table.ts';
import { expandHosts, HOST_LIST_HELP } from '../../fleet/host-list.ts';
import { loadFolder } from '../../fleet/load.ts';
import { contextOf, leaf } from '../command.ts';
import { editFleet } from '../fleet/edit-fleet.ts';

export function exportCommand(signal: AbortSignal): Command {
  return leaf('export', 'print what blades say of themselves as CSV, or with --json as JSON', [
    'bladeroot blade export > blades.csv',
    'bladeroot blade export web[01-20] --json > blades.json',
  ])
    .argument('[blades...]', `${HOST_LIST_HELP} (all of them when left out)`)
    .action(async (hosts: string[], _options, command: Command) => {
      const { fleetDirectory, output } = contextOf(command, signal);
      const { fleet, source } = await loadFolder(fleetDirectory);
      const names = hosts.length === 0 ? Object.keys(fleet.blades) : expandHosts(hosts, fleet);
      output.result(bladesAsJson(source.data, names), bladesAsCsv(source.data, names).trimEnd());
    });
}

export function importCommand(signal: AbortSignal): Command {
  const command = leaf('import', 'add and change blades as CSV or JSON says: shows what changes, and asks', [
    'bladeroot blade import blades.csv',
    'bladeroot blade import blades.json -y',
    'ssh inventory cat blades.csv | bladeroot blade import - -y',
  ]);
  return command
    .argument('<file>', 'what `bladeroot blade export` prints; - for standard input')
    .option('-y, --yes', 'do it without a question')
    .addHelpText(
      'after',
      `
Blades that are not named stay as they are.
CSV: the first line names the columns: name, and fields such as mac, address, profile, boot.timeout, vars.rack. An empty
cell takes the field from the blade; what has no column stays. Several values stand as [a, b] in one cell.
JSON: a blade that is named gets the fields that stand there, and no other.`,
    )
    .action(async (file: string, { yes }: { yes?: true }, command: Command) => {
      const text = await readInput(file);
      const isJson = /^\uFEFF?\s*[{[]/.test(text);
      const edit = ({ source: { data } }: { source: { data: unknown } }) =>
        changesTo(data, isJson ? bladesOfJson(text, file, data) : bladesOfCsv(text, file));
      await editFleet(contextOf(command, signal), edit, { ask: yes !== true });
    });
}

async function readInput(file: string): Promise<string> {
  if (file === '-') return await textOf(process.stdin);
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    throw new BladerootError('NO_FILE', `there is no file ${file}`, {
      hint: 'name one that `bladeroot blade export` has printed, or - for standard input',
      cause: error,
    });
  }
}
