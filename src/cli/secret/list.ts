import type { Command } from 'commander';
import { loadFleet } from '../../fleet/load.ts';
import { nameList } from '../../fleet/nearest.ts';
import { differenceOf, readersByOverlay, RECOVERY, type Readers } from '../../secrets/readers.ts';
import { allSecrets } from '../../secrets/rekey.ts';
import type { Secret } from '../../secrets/folder.ts';
import { contextOf, leaf } from '../command.ts';
import { table } from '../output.ts';

export function listSecretsCommand(signal: AbortSignal): Command {
  return leaf('list', 'list the secrets, who can read each, and which need `secret rekey`', [
    'bladeroot secret list',
  ]).action(async (_options, command: Command) => {
    const { fleetDirectory, output } = contextOf(command, signal);
    const fleet = await loadFleet(fleetDirectory);
    const readersOf = readersByOverlay(fleet);
    const secrets = (await allSecrets(fleetDirectory)).map((secret) =>
      described(secret, readersOf(secret.overlay)),
    );
    const rows = secrets.map(({ overlay, path, readers, waiting, state }) => [
      overlay,
      path,
      readers === undefined ? 'unknown' : nameList(readers),
      waiting.length === 0 ? '' : nameList(waiting),
      state,
    ]);
    const headings = ['OVERLAY', 'PATH', 'READERS', 'NOT YET', 'STATE'];
    output.result(secrets, rows.length === 0 ? 'no secrets' : table(headings, rows));
  });
}

interface Described {
  overlay: string;
  path: string;
  file: string;
  /** Who can read it: blades, `recovery`, and recipients that are nobody's; undefined where that is not known. */
  readers: string[] | undefined;
  /** Blades with the overlay that nobody has accepted yet. */
  waiting: readonly string[];
  /** `ok`, or why it needs to be encrypted anew. */
  state: string;
}

function described({ overlay, path, file, recipients }: Secret, expected: Readers): Described {
  const readers = recipients && readersOfFile(new Set(recipients), expected);
  const { waiting } = expected;
  return { overlay, path: `/${path}`, file, readers, waiting, state: stateOf(recipients, expected) };
}

function readersOfFile(can: ReadonlySet<string>, { blades, recovery }: Readers): string[] {
  const known = new Set([...blades.values(), ...recovery]);
  return [
    ...[...blades].flatMap(([name, recipient]) => (can.has(recipient) ? [name] : [])),
    ...(recovery.some((recipient) => can.has(recipient)) ? [RECOVERY] : []),
    ...[...can].filter((recipient) => !known.has(recipient)),
  ];
}

function stateOf(recipients: readonly string[] | undefined, expected: Readers): string {
  const difference = differenceOf(recipients, expected);
  if (difference === undefined) return 'ok';
  if (recipients === undefined) return 'rekey: written by something else';
  const { missing, surplus } = difference;
  const why = [
    ...(missing.length === 0 ? [] : [`not for ${nameList(missing)}`]),
    ...(surplus.length === 0 ? [] : [`still for ${nameList(surplus)}`]),
  ];
  return `rekey: ${why.join(', ')}`;
}
