/**
 * Edits of several files, all or nothing. What an edit makes of each file is written to a journal first, whole and synced:
 * from then on it is done for whoever reads the folder through it, and who edits next writes it to its end. A power cut
 * before that leaves the folder as it was.
 */
import { mkdir, realpath, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { BladerootError, errorCode } from '../errors.ts';
import { sha256 } from '../store/digest.ts';
import { readIfThere } from '../system/read-file.ts';
import { syncDirectory, writeFileAtomic } from '../system/write-file.ts';
import { FLEET_FILE, type FleetTexts } from './fleet-source.ts';

/** The files that are others after an edit, by their path in the fleet folder; undefined for one that is gone. */
export type EditedTexts = ReadonlyMap<string, string | undefined>;

/** In the fleet folder, for as long as an edit is being written. */
export const JOURNAL = '.bladeroot-edit.json';

const journalSchema = z.record(
  z.string(),
  z.strictObject({
    /** SHA-256 of the file before the edit; null where there was none. */
    before: z.string().nullable(),
    /** Its text afterwards; null where it is gone. */
    after: z.string().nullable(),
  }),
);

/** By file. */
type Journal = z.infer<typeof journalSchema>;

/** The edit that is being written, or was when the power failed. @throws BladerootError `EDIT_CUT_OFF` when it is damaged */
export async function readJournal(folder: string): Promise<Journal | undefined> {
  const text = await readIfThere(join(folder, JOURNAL));
  if (text === undefined) return undefined;
  try {
    return journalSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new BladerootError(
      'EDIT_CUT_OFF',
      `${JOURNAL} is damaged: an edit of the fleet folder was cut off`,
      {
        hint: `look at what the files of the folder say (\`git diff\`), and remove ${JOURNAL}`,
        cause: error,
      },
    );
  }
}

/**
 * The texts of a fleet as they are when the edit is done. Pure.
 * @throws BladerootError `EDIT_CUT_OFF` when somebody has changed one of the files by hand since the edit was cut off
 */
export function throughJournal(texts: FleetTexts, journal: Journal): FleetTexts {
  for (const [file, { before, after }] of Object.entries(journal)) {
    const now = texts.get(file);
    if (now === (after ?? undefined) || digestOf(now) === before) continue;
    throw new BladerootError(
      'EDIT_CUT_OFF',
      `${file} has been changed since an edit of it and others was cut off`,
      { hint: `take what you need of that edit out of ${JOURNAL} in the fleet folder, and remove it` },
    );
  }
  return withEdits(texts, editsOf(journal));
}

/** The text of files after an edit. */
export function withEdits(texts: FleetTexts, edited: EditedTexts): FleetTexts {
  const after = new Map(texts);
  for (const [file, text] of edited) {
    if (text === undefined) after.delete(file);
    else after.set(file, text);
  }
  return after;
}

/** Writes an edit, all of it or nothing; the folder is locked, and no other edit is to be completed. */
export async function writeEdit(folder: string, edited: EditedTexts): Promise<void> {
  // A single file is written at once, or not.
  if (edited.size < 2) return await writeFiles(folder, edited);
  const entries = [...edited].map(async ([file, text]): Promise<[string, Journal[string]]> => {
    const before = digestOf(await readIfThere(join(folder, file)));
    return [file, { before, after: text ?? null }];
  });
  const journal: Journal = Object.fromEntries(await Promise.all(entries));
  await writeLike(join(folder, FLEET_FILE), join(folder, JOURNAL), `${JSON.stringify(journal, null, 2)}\n`);
  await writeFiles(folder, edited);
  await removeFile(join(folder, JOURNAL));
}

/** Writes an edit that was cut off to its end, if there is one; the folder is locked, and was read through the journal. */
export async function completeEdit(folder: string): Promise<void> {
  const journal = await readJournal(folder);
  if (journal === undefined) return;
  await writeFiles(folder, editsOf(journal));
  await removeFile(join(folder, JOURNAL));
}

/** Each file is whole at any moment, and belongs to whom it belonged; a new one to whom fleet.yaml belongs. */
async function writeFiles(folder: string, edited: EditedTexts): Promise<void> {
  for (const [file, text] of edited) {
    const path = join(folder, file);
    if (text === undefined) {
      await removeFile(path);
      continue;
    }
    // The name may be a link into a folder of git's.
    const target = await targetOf(path);
    if (target === undefined) await mkdir(dirname(path), { recursive: true });
    await writeLike(target ?? join(folder, FLEET_FILE), target ?? path, text);
  }
}

/** With mode and owner of another file. */
async function writeLike(other: string, path: string, text: string): Promise<void> {
  const { mode, uid, gid } = await stat(other);
  await writeFileAtomic(path, text, { mode: mode & 0o7777, owner: { uid, gid } });
}

async function removeFile(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncDirectory(dirname(path));
}

async function targetOf(path: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function editsOf(journal: Journal): EditedTexts {
  return new Map(Object.entries(journal).map(([file, { after }]) => [file, after ?? undefined]));
}

function digestOf(text: string | undefined): string | null {
  return text === undefined ? null : sha256(Buffer.from(text));
}
