import { loadFolder, shownPath } from './load.ts';
import { originsOf } from './origins.ts';
import type { Path } from './source.ts';

/**
 * Where a value that a blade has is written, for a message: `fleet.yaml:12: profiles.web.services.start[0]`. Undefined for what
 * nobody has written. It reads the fleet folder once more: for the case that something is wrong.
 * @param path the way to the value in the resolved blade
 * @throws as `loadFolder`
 */
export async function placeInFleet(fleetDir: string, blade: string, path: Path): Promise<string | undefined> {
  const { fleet, source } = await loadFolder(fleetDir);
  const wanted = JSON.stringify(path);
  const origin = originsOf(fleet, blade).find((candidate) => JSON.stringify(candidate.path) === wanted);
  if (origin === undefined) return undefined;
  const { file, line } = source.placeOf(origin.from);
  return `${file}:${line}: ${shownPath(origin.from)}`;
}
