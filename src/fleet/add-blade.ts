/** Writes a new blade into a fleet folder. */
import { chown, open, readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { BladerootError } from '../errors.ts';
import { tryLock } from '../system/posix.ts';
import { writeFileAtomic } from '../system/write-file.ts';
import { addBlade, type NewBlade } from './edit.ts';
import { FleetErrors } from './findings.ts';
import { FLEET_FILE, listOverlays, parseFleet } from './load.ts';
import type { Fleet } from './schema.ts';

const RETRY_MS = 100;

/**
 * Adds a blade to `fleet.yaml`: the file is whole at any moment, and belongs to whom it belonged.
 * @returns the fleet with the blade in it
 * @throws BladerootError `BAD_BLADE` when the fleet would have faults with it; the file is as it was then
 */
export async function addBladeTo(folder: string, name: string, blade: NewBlade): Promise<Fleet> {
  // The name may be a link into a folder of git's.
  const path = await realpath(join(folder, FLEET_FILE));
  const [text, { mode, uid, gid }] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
  const changed = addBlade(text, name, blade);
  const fleet = parseChanged(changed, await listOverlays(folder));
  await writeFileAtomic(path, changed, { mode: mode & 0o7777 });
  await chown(path, uid, gid);
  return fleet;
}

/** Two who change one folder at the same time come one after the other. @returns what lets the next one go on */
export async function lockFolder(folder: string, signal: AbortSignal): Promise<() => Promise<void>> {
  const directory = await open(folder, 'r');
  try {
    while (!tryLock(directory.fd, 'exclusive')) await wait(RETRY_MS, undefined, { signal });
  } catch (error) {
    await directory.close();
    throw error;
  }
  return async () => await directory.close();
}

function parseChanged(text: string, overlays: readonly string[]): Fleet {
  try {
    return parseFleet(text, overlays);
  } catch (error) {
    if (!(error instanceof FleetErrors)) throw error;
    const faults = error.findings.map(({ message }) => message).join('; ');
    throw new BladerootError('BAD_BLADE', `the fleet cannot have this blade: ${faults}`, {
      hint: `${FLEET_FILE} is as it was`,
      cause: error,
    });
  }
}
