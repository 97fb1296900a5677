/** Everything that can be told of a fleet folder before it is published. */
import type { Command } from 'commander';
import { errorCode } from '../../errors.ts';
import { unusedIn, unusedOverlays } from '../../fleet/check-use.ts';
import { FleetErrors, findingText, sortFindings, type Finding } from '../../fleet/findings.ts';
import { faultPlace, loadFolder, type LoadedFleet } from '../../fleet/load.ts';
import { SnapshotFiles } from '../../image/snapshot-files.ts';
import type { SnapshotStatement } from '../../image/statement.ts';
import { checkAgainstImage, type ImageFindings } from '../../overlay/check-image.ts';
import { findSnapshot } from '../../release/find-snapshot.ts';
import { readPublicKey } from '../../release/keys.ts';
import { readSnapshots } from '../../release/snapshots.ts';
import type { Store } from '../../store/store.ts';
import { contextOf, leaf, type Context } from '../command.ts';
import { locked, readStore } from '../store.ts';

interface ShownFinding extends Finding {
  severity: 'error' | 'warning';
}

interface Checked {
  findings: ShownFinding[];
  /** How many there are; undefined where the folder could not be read to its end. */
  blades?: number;
  /** The snapshot that overlays and services were checked against. */
  snapshot?: string;
}

export function checkCommand(signal: AbortSignal): Command {
  return leaf('check', 'check the fleet folder, also against the snapshot that it is to be laid over', [
    'bladeroot fleet check                        # with the newest snapshot, if there is one',
    'bladeroot fleet check --snapshot debian --json',
    'bladeroot fleet check --fleet . --no-image   # the folder alone, as before a commit',
  ])
    .option('--snapshot <id|tree>', 'the snapshot (the newest one of all when left out)')
    .option('--no-image', 'leave out what needs a snapshot: services, templates, what overlays replace')
    .addHelpText('after', '\nExit status: 0 if there are no errors (warnings may be), 1 if there are.')
    .action(async (options: { snapshot?: string; image: boolean }, command: Command) => {
      const context = contextOf(command, signal);
      const checked = await check(context, options);
      context.output.result(checked, describe(checked));
      if (checked.findings.some(({ severity }) => severity === 'error')) process.exitCode = 1;
    });
}

async function check(context: Context, options: { snapshot?: string; image: boolean }): Promise<Checked> {
  let loaded: LoadedFleet;
  try {
    loaded = await loadFolder(context.fleetDirectory);
  } catch (error) {
    if (!(error instanceof FleetErrors)) throw error;
    return { findings: error.findings.map(asError) };
  }
  const { fleet, source, overlays } = loaded;
  const warnings: Finding[] = [
    ...unusedIn(fleet).map((fault) => faultPlace(source, fault)),
    ...unusedOverlays(fleet, overlays).map((name) => ({
      file: `overlays/${name}`,
      message: 'neither the defaults nor a profile nor a blade names this folder',
    })),
  ];
  const against = options.image ? await checkImage(context, loaded, options.snapshot) : undefined;
  const findings = [
    ...(against?.errors ?? []).map(asError),
    ...[...warnings, ...(against?.warnings ?? [])].map((finding): ShownFinding => ({
      severity: 'warning',
      ...finding,
    })),
  ];
  return {
    findings: sortFindings(findings),
    blades: Object.keys(fleet.blades).length,
    ...(against === undefined ? {} : { snapshot: against.snapshot.id }),
  };
}

function asError(finding: Finding): ShownFinding {
  return { severity: 'error', ...finding };
}

/** Nothing where there is no snapshot and none was asked for, as beside a working copy of git on another machine. */
async function checkImage(
  context: Context,
  loaded: LoadedFleet,
  wanted: string | undefined,
): Promise<(ImageFindings & { snapshot: SnapshotStatement }) | undefined> {
  let store: Store;
  try {
    store = await readStore(context);
  } catch (error) {
    if (wanted !== undefined || errorCode(error) !== 'NO_STORE') throw error;
    context.output.step(`not checked against an image: there is no store in ${context.stateDirectory}`);
    return undefined;
  }
  const publicKey = await readPublicKey(context.stateDirectory);
  return await locked(context, store, 'shared', async () => {
    const snapshot =
      wanted === undefined
        ? (await readSnapshots(store, publicKey)).at(-1)
        : await findSnapshot(store, wanted, publicKey);
    if (snapshot === undefined) {
      context.output.step('not checked against an image: there is no snapshot yet');
      return undefined;
    }
    const image = await SnapshotFiles.open(store, snapshot);
    const { fleetDirectory: fleetDir, signal } = context;
    return { ...(await checkAgainstImage({ ...loaded, fleetDir, image, signal })), snapshot };
  });
}

function describe({ findings, blades, snapshot }: Checked): string {
  const lines = findings.map((finding) =>
    finding.severity === 'error' ? findingText(finding) : `${findingText(finding)} (warning)`,
  );
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  const about = blades === undefined ? [] : [counted(blades, 'blade')];
  const against = snapshot === undefined ? [] : [`snapshot ${snapshot.slice(0, 12)}`];
  const counts = [counted(errors, 'error'), counted(findings.length - errors, 'warning')];
  return [...lines, [...about, ...against, ...counts].join(', ')].join('\n');
}

function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? '' : 's'}`;
}
