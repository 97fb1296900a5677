/** Services that a blade stops, and that start all the same because something else starts them. */
import type { Finding } from '../fleet/findings.ts';
import { faultPlace, type LoadedFleet } from '../fleet/load.ts';
import { nameList } from '../fleet/nearest.ts';
import { originsOf } from '../fleet/origins.ts';
import type { ResolvedBlade } from '../fleet/resolve.ts';
import { detectServiceManager } from '../tree/services/detect.ts';
import type { LaidOver } from './laid-over.ts';

export interface StartedAnyway {
  /** As `services.stop` has it. */
  service: string;
  /** What starts it; not empty. */
  by: readonly string[];
}

/** @param root the image as the blade will have it, services as well */
export async function startedAnywayOn(root: LaidOver, { services }: ResolvedBlade): Promise<StartedAnyway[]> {
  if (services.stop.length === 0) return [];
  const manager = await detectServiceManager(root);
  const found: StartedAnyway[] = [];
  for (const service of services.stop) {
    const by = await manager.startedBy(service);
    if (by.length > 0) found.push({ service, by });
  }
  return found;
}

/** What to say of them, with the file and line in which it is written that they are to be stopped. */
export function startedAnywayFindings(
  { fleet, source }: LoadedFleet,
  { name, services }: ResolvedBlade,
  started: readonly StartedAnyway[],
): Finding[] {
  if (started.length === 0) return [];
  const origins = originsOf(fleet, name);
  return started.map(({ service, by }) => {
    const index = services.stop.indexOf(service);
    const origin = origins.find(({ path }) => path.join('.') === `services.stop.${index}`);
    const message = `${service} starts all the same: ${nameList(by, 5)} ${by.length === 1 ? 'starts' : 'start'} it; stop that too, or mask ${service} in an overlay (docs/overlays.md)`;
    return faultPlace(source, { path: origin?.from ?? ['blades', name], message });
  });
}
