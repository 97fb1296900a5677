/** Writes a new blade into a fleet folder. */
import { chown, open, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { BladerootError } from '../errors.ts';
import { tryLock } from '../system/posix.ts';
import { writeFileAtomic } from '../system/write-file.ts';
import { addBlade, bladeFile, hasBlades, type NewBlade } from './edit.ts';
import { FleetErrors } from './findings.ts';
import { FLEET_FILE, type FleetTexts } from './fleet-source.ts';
import { parseFolder, readFleetFiles, type FleetFiles } from './load.ts';
import type { Fleet } from './schema.ts';

const RETRY_MS = 100;

/**
 * Adds a blade to `fleet.yaml`, or, where blades have files of their own, as `blades/NAME.yaml`. The file is whole at any
 * moment, and belongs to whom it (or fleet.yaml) belonged.
 * @returns the fleet with the blade in it, and the file in which it is, relative to the folder
 * @throws BladerootError `BAD_BLADE` when the fleet would have faults with it; all files are as they were then
 */
export async function addBladeTo(
  folder: string,
  name: string,
  blade: NewBlade,
): Promise<{ fleet: Fleet; file: string }> {
  const files = await readFleetFiles(folder);
  const { file, text } = changedFile(files.texts, name, blade);
  const fleet = parseChanged({ ...files, texts: new Map([...files.texts, [file, text]]) });
  // The name may be a link into a folder of git's.
  const main = await realpath(join(folder, FLEET_FILE));
  const { mode, uid, gid } = await stat(main);
  const path = file === FLEET_FILE ? main : join(folder, file);
  await writeFileAtomic(path, text, { mode: mode & 0o7777 });
  await chown(path, uid, gid);
  return { fleet, file };
}

function changedFile(texts: FleetTexts, name: string, blade: NewBlade): { file: string; text: string } {
  const main = texts.get(FLEET_FILE) ?? '';
  const split = [...texts.keys()].some((file) => file.startsWith('blades/'));
  // A name with a slash is none: as one of fleet.yaml it is refused with what would be right.
  return split && !hasBlades(main) && !name.includes('/')
    ? { file: `blades/${name}.yaml`, text: bladeFile(blade) }
    : { file: FLEET_FILE, text: addBlade(main, name, blade) };
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

function parseChanged(files: FleetFiles): Fleet {
  try {
    return parseFolder(files).fleet;
  } catch (error) {
    if (!(error instanceof FleetErrors)) throw error;
    const faults = error.findings.map(({ message }) => message).join('; ');
    throw new BladerootError('BAD_BLADE', `the fleet cannot have this blade: ${faults}`, {
      hint: `${FLEET_FILE} is as it was`,
      cause: error,
    });
  }
}
