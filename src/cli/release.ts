import type { Command } from 'commander';
import { loadFleet } from '../fleet/load.ts';
import { privateKeyFile, readPublicKey, UNCARRIED_KEY } from '../release/keys.ts';
import { publishRelease, type Published, type PublishRequest } from '../release/publish.ts';
import { ReleaseRepository } from '../release/repository.ts';
import { findOrNewest } from '../release/find-snapshot.ts';
import type { ReleaseStatement } from '../release/statement.ts';
import { contextOf, leaf, noun, type Context } from './command.ts';
import { diffCommand } from './release/diff.ts';
import { findRelease } from './release/find.ts';
import { bytes, table } from './output.ts';
import { openSigningKey, withSigningOptions, type SigningOptions } from './signing.ts';
import { locked, openStore } from './store.ts';

export function releaseCommands(signal: AbortSignal): Command {
  return noun('release', 'signed statements of what the fleet is to run', [
    publish(signal),
    list(signal),
    show(signal),
    diffCommand(signal),
  ]);
}

function publish(signal: AbortSignal): Command {
  const command = leaf('publish', 'make the next release from a snapshot and the fleet folder', [
    'bladeroot release publish                            # the newest snapshot',
    'bladeroot release publish --snapshot debian -m "nginx 1.26"',
    'bladeroot release publish --key /media/usb/release.key',
  ])
    .option('--snapshot <id|tree>', 'the snapshot (the newest one of all when left out)')
    .option('-m, --message <why>', 'why, for those who read the list later');
  return withSigningOptions(command).action(
    async (options: PublishCommandOptions & SigningOptions, command: Command) => {
      const context = contextOf(command, signal);
      const fleet = await loadFleet(context.fleetDirectory);
      const key = await openSigningKey(context, options);
      const store = await openStore(context);
      const { release, isNew } = await locked(context, store, 'shared', () =>
        publishFrom(context, { store, key, fleet }, options),
      );
      const { sequence, blades, snapshot } = release.statement;
      const text = isNew
        ? `release ${sequence}: snapshot ${snapshot.id.slice(0, 12)} of ${snapshot.tree} for ${blades.length} blades`
        : `nothing has changed since release ${sequence}: no new one was made`;
      context.output.result({ sequence, isNew }, text);
    },
  );
}

interface PublishCommandOptions {
  /** An id or a tree's name; the newest one of all when left out. */
  snapshot?: string;
  message?: string;
}

/** Publishes, and tells how far it is. Needs the store's lock, shared. */
export async function publishFrom(
  { stateDirectory, fleetDirectory, output, signal }: Context,
  { store, key, fleet }: Pick<PublishRequest, 'store' | 'key' | 'fleet'>,
  options: PublishCommandOptions,
): Promise<Published> {
  const publicKey = await readPublicKey(stateDirectory);
  const file = await privateKeyFile(stateDirectory);
  const snapshot = await findOrNewest(store, options.snapshot, publicKey);
  const published = await publishRelease({
    store,
    releases: new ReleaseRepository(stateDirectory, publicKey),
    fleet,
    fleetDirectory,
    snapshot,
    key,
    carriedKey: file.kind === 'encrypted' ? file.pem : undefined,
    message: options.message,
    signal,
    onStep: (step) => output.step(step),
    onInitrd: ({ doneBytes, totalBytes }) =>
      output.progress(() => `building the initrd: ${bytes(doneBytes)} of ${bytes(totalBytes)}`),
  });
  if (file.kind === 'plain') output.step(`warning: ${UNCARRIED_KEY.message}; ${UNCARRIED_KEY.hint}`);
  return published;
}

function list(signal: AbortSignal): Command {
  return leaf('list', 'list the releases, oldest first', ['bladeroot release list']).action(
    async (_options, command: Command) => {
      const { stateDirectory, output } = contextOf(command, signal);
      const releases = new ReleaseRepository(stateDirectory, await readPublicKey(stateDirectory));
      const all = await releases.all();
      const rows = all.map((release) => [
        String(release.sequence),
        release.created.slice(0, 19).replace('T', ' '),
        `${release.snapshot.tree} ${release.snapshot.id.slice(0, 12)}`,
        release.kernel.version,
        String(release.blades.length),
        pinsOf(release),
        release.message ?? '',
      ]);
      const headings = ['RELEASE', 'CREATED (UTC)', 'SNAPSHOT', 'KERNEL', 'BLADES', 'PINNED', 'MESSAGE'];
      output.result(all, rows.length === 0 ? 'no releases' : table(headings, rows));
    },
  );
}

function show(signal: AbortSignal): Command {
  return leaf('show', 'show one release', ['bladeroot release show', 'bladeroot release show 3 --json'])
    .argument('[release]', 'its number, latest or previous', 'latest')
    .action(async (release: string, _options, command: Command) => {
      const { stateDirectory, output } = contextOf(command, signal);
      const releases = new ReleaseRepository(stateDirectory, await readPublicKey(stateDirectory));
      const { statement } = await findRelease(releases, release);
      output.result(statement, describe(statement));
    });
}

/** `web01 to 17`; of several, how many. */
function pinsOf({ blades }: ReleaseStatement): string {
  const pinned = blades.flatMap(({ name, pin }) => (pin === undefined ? [] : [`${name} to ${pin.release}`]));
  return pinned.length > 2 ? `${pinned.length} blades` : pinned.join(', ');
}

function describe(release: ReleaseStatement): string {
  const head = [
    `release   ${release.sequence} of ${release.fleet}${release.message === undefined ? '' : `: ${release.message}`}`,
    `created   ${release.created}`,
    `snapshot  ${release.snapshot.id} (${release.snapshot.tree})`,
    `kernel    ${release.kernel.version}, ${bytes(release.kernel.bytes)}`,
    `initrd    ${release.initrd.digest.slice(0, 12)}, ${bytes(release.initrd.bytes)}`,
    '',
  ];
  const rows = release.blades.map((blade) => [
    blade.name,
    blade.address,
    blade.mac ?? blade.serial ?? blade.guid ?? '',
    bytes(blade.overlay.bytes),
    blade.pin === undefined ? '' : String(blade.pin.release),
  ]);
  return [...head, table(['BLADE', 'ADDRESS', 'MACHINE', 'OVERLAY', 'PINNED TO'], rows)].join('\n');
}
