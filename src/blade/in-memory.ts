/** What a blade does by itself after its start that has its root filesystem in memory: there is no disk to make bootable. */
import { join } from 'node:path';
import { BladerootError } from '../errors.ts';
import type { UpReport } from '../events/catalogue.ts';
import { readPublicKey } from '../release/keys.ts';
import { ReleaseRepository } from '../release/repository.ts';
import { run } from '../system/run.ts';
import { DEFAULT_HEALTH, untilHealthy } from './health.ts';
import { bootId } from './report.ts';
import { runningServices } from './running-services.ts';
import { rootsOf, servicesText, tellSomeRoot, type StandbyOptions } from './standby.ts';
import { readBladeState } from './state.ts';

/** Whether the root filesystem is the one that the agent has unpacked into memory. */
export async function runsFromMemory(): Promise<boolean> {
  const { stdout } = await run('findmnt', ['--noheadings', '--output', 'FSTYPE', '/']);
  return stdout.trim() === 'tmpfs';
}

/** Tells the root that it is up. It is no standby: it has no store. @throws BladerootError `NOT_A_BLADE`, ... */
export async function standByInMemory(options: StandbyOptions): Promise<void> {
  const { stateDirectory, onStep } = options;
  const state = await readBladeState(stateDirectory);
  if (state?.inMemory === undefined) {
    throw new BladerootError(
      'NOT_A_BLADE',
      `${join(stateDirectory, 'blade.json')} tells of no release in memory`,
      {
        hint: 'this is done by blades that bladeroot has deployed, not by a machine that was started otherwise',
      },
    );
  }
  const releases = new ReleaseRepository(stateDirectory, await readPublicKey(stateDirectory));
  const { statement: release } = await releases.read(state.inMemory);
  const services = await runningServices();
  const health = release.blades.find(({ name }) => name === state.name)?.health ?? DEFAULT_HEALTH;
  // There is nothing to fall back to: what is wrong is told, and that is all.
  const wrong = await untilHealthy({ health, services, forEver: false, signal: options.signal });
  const up: UpReport = {
    type: 'blade.up',
    blade: state.name,
    boot: await bootId(),
    release: release.sequence,
    from: 'network',
    services: await servicesText(services, wrong),
  };
  onStep(`up with release ${release.sequence} in memory, services: ${up.services}`);
  await tellSomeRoot(rootsOf(state, release, options.port), up, options);
}
