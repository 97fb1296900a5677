/** How long it takes to render the overlays of a fleet, all of them and just those that changed. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { findingText } from '../../src/fleet/findings.ts';
import { loadFleet, loadFolder } from '../../src/fleet/load.ts';
import { resolveFleet } from '../../src/fleet/resolve.ts';
import { DirectoryFiles } from '../../src/image/files.ts';
import { checkAgainstImage } from '../../src/overlay/check-image.ts';
import { renderFleet } from '../../src/overlay/render-fleet.ts';
import { readRendered, writeRendered } from '../../src/overlay/rendered.ts';
import { Store } from '../../src/store/store.ts';
import { empty } from '../folder.ts';
import type { Row } from '../report.ts';
import { BLADES, changeDatabase, FILES, writeFleetFolder } from './fleet-folder.ts';

/** Seconds for all blades. */
const LIMIT = 5;
const IMAGE = 'bench';

export interface RenderSetting {
  /** A root filesystem with nginx and ssh. */
  tree: string;
  /** For what the bench makes. */
  work: string;
  rounds: number;
  signal: AbortSignal;
  onProgress: (line: string) => void;
}

/** One rendering, by a process that has just started as far as what it knows is concerned. */
interface Run {
  seconds: number;
  rendered: number;
}

export async function benchRender(
  setting: RenderSetting,
): Promise<{ rows: Row[]; runs: Record<string, Run[]> }> {
  const { work, rounds, onProgress } = setting;
  const fleetDir = join(work, 'fleet');
  await mkdir(fleetDir);
  await writeFleetFolder(fleetDir);
  const runs = { all: [] as Run[], again: [] as Run[], changed: [] as Run[], check: [] as Run[] };
  for (let round = 1; round <= rounds; round++) {
    onProgress(`rendering ${BLADES} blades: round ${round} of ${rounds}`);
    await empty(join(work, 'state'));
    runs.all.push(await rendering(setting, fleetDir, BLADES));
    runs.again.push(await rendering(setting, fleetDir, 0));
    runs.changed.push(await rendering(setting, fleetDir, await changeDatabase(fleetDir, round)));
    runs.check.push(await checking(setting, fleetDir));
  }
  const [all, again, changed] = [least(runs.all), least(runs.again), least(runs.changed)];
  const seconds = { unit: 'seconds' } as const;
  const rows: Row[] = [
    {
      what: `${BLADES} blades, ${FILES} files each`,
      ...seconds,
      ours: all,
      beside: 'limit',
      theirs: LIMIT,
      goal: 1,
    },
    { what: 'again, nothing changed', ...seconds, ours: again, beside: 'all', theirs: all },
    { what: 'again, a file of 10 % changed', ...seconds, ours: changed, beside: 'all', theirs: all },
    { what: 'all checked (`fleet check`)', ...seconds, ours: least(runs.check), beside: 'all', theirs: all },
  ];
  return { rows, runs };
}

/** As publishing does it: from what was rendered last to archives in the store. */
async function rendering(
  { tree, work, signal }: RenderSetting,
  fleetDir: string,
  wanted: number,
): Promise<Run> {
  const state = join(work, 'state');
  const store = await Store.open(join(state, 'store'));
  const fleet = await loadFleet(fleetDir);
  const started = performance.now();
  const blades = resolveFleet(fleet);
  const image = new DirectoryFiles(tree);
  const before = await readRendered(state, IMAGE);
  const { overlays, rendered } = await renderFleet({ fleet, blades, fleetDir, image, store, before, signal });
  await writeRendered(state, IMAGE, overlays);
  const seconds = (performance.now() - started) / 1000;
  if (rendered !== wanted) throw new Error(`${rendered} blades were rendered, not ${wanted}`);
  return { seconds, rendered };
}

/** As `fleet check` does it, once the snapshot is open. */
async function checking({ tree, signal }: RenderSetting, fleetDir: string): Promise<Run> {
  const started = performance.now();
  const loaded = await loadFolder(fleetDir);
  const image = new DirectoryFiles(tree);
  const { errors } = await checkAgainstImage({ ...loaded, fleetDir, image, signal });
  const seconds = (performance.now() - started) / 1000;
  if (errors.length > 0) throw new Error(errors.map(findingText).join('\n'));
  return { seconds, rendered: BLADES };
}

function least(runs: readonly Run[]): number {
  return Math.min(...runs.map(({ seconds }) => seconds));
}
