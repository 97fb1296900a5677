import { BladerootError } from '../errors.ts';
import { loadFolder, shownPath } from './load.ts';
import { originsOf } from './origins.ts';
import type { Path } from './source.ts';

/**
 * An error about a value that a blade has, with the file and line in which that is written, and the blade for which it was
 * seen: `fleet.yaml:12: profiles.web.services.start[0]: why (blade web01)`. It reads the fleet folder once more.
 * @param path the way to the value in the resolved blade
 * @throws the error, or what `loadFolder` throws
 */
export async function rethrowAt(fleetDir: string, blade: string, path: Path, error: unknown): Promise<never> {
  if (!(error instanceof BladerootError)) throw error;
  const place = await placeInFleet(fleetDir, blade, path);
  throw new BladerootError(error.code, `${place ?? 'fleet'}: ${error.message} (blade ${blade})`, {
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    cause: error,
  });
}

/** Undefined for what nobody has written. */
async function placeInFleet(fleetDir: string, blade: string, path: Path): Promise<string | undefined> {
  const { fleet, source } = await loadFolder(fleetDir);
  const wanted = JSON.stringify(path);
  const origin = originsOf(fleet, blade).find((candidate) => JSON.stringify(candidate.path) === wanted);
  if (origin === undefined) return undefined;
  const { file, line } = source.placeOf(origin.from);
  return `${file}:${line}: ${shownPath(origin.from)}`;
}
