/** All that a blade is, and where each value of it is written. */
import type { Command } from 'commander';
import { Document, isNode, stringify } from 'yaml';
import { expandHosts, HOST_LIST_HELP, isOneBlade } from '../../fleet/host-list.ts';
import { loadFolder, type LoadedFleet } from '../../fleet/load.ts';
import { originsOf } from '../../fleet/origins.ts';
import { resolveBlade, type ResolvedBlade } from '../../fleet/resolve.ts';
import type { Path } from '../../fleet/source.ts';
import { contextOf, leaf } from '../command.ts';

export function showCommand(signal: AbortSignal): Command {
  return leaf('show', 'show all that a blade is, from defaults, profiles and itself', [
    'bladeroot blade show web01',
    'bladeroot blade show web[01-20]',
    'bladeroot blade show web01 --origin    # with the file and line of each value',
  ])
    .argument('<blades...>', HOST_LIST_HELP)
    .option('--origin', 'where each value is written')
    .action(async (hosts: string[], { origin }: { origin?: true }, command: Command) => {
      const { fleetDirectory, output } = contextOf(command, signal);
      const loaded = await loadFolder(fleetDirectory);
      const shown = expandHosts(hosts, loaded.fleet).map((name) => {
        const blade = resolveBlade(loaded.fleet, name);
        if (origin !== true) return { value: blade, text: stringify(blade).trimEnd() };
        const origins = valueOrigins(loaded, name);
        return { value: { ...blade, origins }, text: withOrigins(blade, origins) };
      });
      const values = shown.map(({ value }) => value);
      output.result(isOneBlade(hosts) ? values[0] : values, shown.map(({ text }) => text).join('\n---\n'));
    });
}

interface ValueOrigin {
  /** The way to the value in the blade, as jq takes it: `["services","start",0]`. */
  path: Path;
  file: string;
  line: number;
}

function valueOrigins({ fleet, source }: LoadedFleet, name: string): ValueOrigin[] {
  return originsOf(fleet, name).map(({ path, from }) => {
    const { file, line } = source.placeOf(from);
    return { path, file, line };
  });
}

/** Stands in no value of a fleet, so that the columns can be told apart. */
const MARK = '\u0001';

/** As YAML, with the origin of each value behind it, all in one column. */
function withOrigins(blade: ResolvedBlade, origins: readonly ValueOrigin[]): string {
  const document = new Document(blade);
  for (const { path, file, line } of origins) {
    const node: unknown = document.getIn(path, true);
    if (isNode(node)) node.comment = `${MARK}${file}:${line}`;
  }
  const lines = document.toString({ lineWidth: 0 }).trimEnd().split('\n');
  const rows = lines.map((line) => line.split(` #${MARK}`));
  const width = Math.max(...rows.map(([text = '', origin]) => (origin === undefined ? 0 : text.length)));
  return rows
    .map(([text = '', origin]) => (origin === undefined ? text : `${text.padEnd(width)}  # ${origin}`))
    .join('\n');
}
