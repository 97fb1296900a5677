/** Changes a fleet folder: what would be one with faults is not written, and two who change it come one after the other. */
import { open } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { BladerootError } from '../errors.ts';
import { tryLock } from '../system/posix.ts';
import { differencesOf, type Difference } from './differences.ts';
import { editTexts } from './edit.ts';
import { completeEdit, withEdits, writeEdit, type EditedTexts } from './edit-journal.ts';
import { FleetErrors } from './findings.ts';
import { FleetSource } from './fleet-source.ts';
import { parseFolder, readFleetFiles, type FleetFiles, type LoadedFleet } from './load.ts';
import type { Fleet } from './schema.ts';
import type { Change } from './yaml-edit.ts';

const RETRY_MS = 100;

/** What an edit would make of a fleet folder. */
export interface Proposal {
  /** As it is, and as it would be. */
  before: LoadedFleet;
  after: Fleet;
  edited: EditedTexts;
  differences: Difference[];
}

/** The changes for a fleet as it is now, or texts of files that a person has written. */
export type Edit = (now: LoadedFleet, files: FleetFiles) => readonly Change[] | EditedTexts;

/**
 * What would come of an edit; nothing is written.
 * @throws FleetErrors when the folder has faults as it is, BladerootError `BAD_EDIT` when it would have them afterwards
 */
export async function proposeEdit(folder: string, edit: Edit): Promise<Proposal> {
  const files = await readFleetFiles(folder);
  const before = parseFolder(files);
  const result = edit(before, files);
  const edited = result instanceof Map ? result : editTexts(files.texts, result as readonly Change[]);
  const texts = withEdits(files.texts, edited);
  return {
    before,
    after: parseEdited({ ...files, texts }),
    edited,
    differences: differencesOf(before.source.data, new FleetSource(texts).data),
  };
}

function parseEdited(files: FleetFiles): Fleet {
  try {
    return parseFolder(files).fleet;
  } catch (error) {
    if (!(error instanceof FleetErrors)) throw error;
    const faults = error.findings.map(({ message }) => message).join('; ');
    throw new BladerootError('BAD_EDIT', `the fleet cannot be changed so: ${faults}`, {
      hint: 'the fleet folder is as it was',
      cause: error,
    });
  }
}

/** Writes what was proposed while the folder was locked, all of it or nothing. */
export async function writeProposal(folder: string, { edited }: Pick<Proposal, 'edited'>): Promise<void> {
  await completeEdit(folder);
  await writeEdit(folder, edited);
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
