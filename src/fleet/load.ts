import type { Dirent } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { z } from 'zod';
import { BladerootError, errorCode } from '../errors.ts';
import { readIfThere } from '../system/read-file.ts';
import { checkFleet, type Fault } from './check.ts';
import { JOURNAL, readJournal, throughJournal } from './edit-journal.ts';
import { FleetErrors, type Finding } from './findings.ts';
import { FLEET_FILE, FleetSource, PART_FOLDERS, type FleetTexts } from './fleet-source.ts';
import { draftSchema, fleetSchema, type Fleet } from './schema.ts';
import type { Path } from './source.ts';

/** What a fleet is made of. */
export interface FleetFiles {
  texts: FleetTexts;
  /** Names of the folders in overlays/. */
  overlays: readonly string[];
}

/** A fleet without faults, and where everything in it is written. */
export interface LoadedFleet {
  fleet: Fleet;
  source: FleetSource;
  overlays: readonly string[];
}

/**
 * Reads a fleet folder.
 * @throws BladerootError `FLEET_MISSING` when there is none, FleetErrors with every fault in it.
 */
export async function loadFleet(dir: string): Promise<Fleet> {
  return (await loadFolder(dir)).fleet;
}

/** The same, with what tells where a value comes from. */
export async function loadFolder(dir: string): Promise<LoadedFleet> {
  return parseFolder(await readFleetFiles(dir));
}

/**
 * Reads the text of a fleet that stands in `fleet.yaml` alone, with the names of the folders that there are in overlays/.
 * @throws FleetErrors with every fault in it.
 */
export function parseFleet(text: string, overlays: readonly string[]): Fleet {
  return parseFolder({ texts: new Map([[FLEET_FILE, text]]), overlays }).fleet;
}

/** @throws FleetErrors with every fault in it. */
export function parseFolder({ texts, overlays }: FleetFiles): LoadedFleet {
  const source = new FleetSource(texts);
  if (source.syntaxErrors.length > 0) throw new FleetErrors(source.syntaxErrors);
  const parsed = fleetSchema.safeParse(source.data);
  const faults = [
    ...(parsed.error === undefined ? [] : parsed.error.issues.flatMap(faultsOf)),
    ...checkFleet(draftOf(source.data, parsed.error?.issues ?? []), {
      overlays,
      profiles: keysOf(source.data, 'profiles'),
      faulty: (path) =>
        parsed.error?.issues.some((issue) => shownPath(pathOf(issue)) === shownPath(path)) === true,
      place: (path, from) => shownPlace(source, path, from),
    }),
  ];
  const findings = [...source.findings, ...faults.map((fault) => faultPlace(source, fault))];
  if (parsed.data === undefined || findings.length > 0) throw new FleetErrors(findings);
  return { fleet: parsed.data, source, overlays };
}

/**
 * An edit that is being written, or was cut off by a power cut, counts as done.
 * @throws BladerootError `FLEET_MISSING`, `EDIT_CUT_OFF`
 */
export async function readFleetFiles(dir: string): Promise<FleetFiles> {
  for (;;) {
    const stamp = await stampOf(dir);
    const journal = await readJournal(dir);
    const texts = await readTexts(dir);
    // An edit that has begun or ended meanwhile has changed some of the texts, and not yet others.
    if ((await stampOf(dir)) !== stamp) continue;
    const all = journal === undefined ? texts : throughJournal(texts, journal);
    return { texts: all, overlays: await listOverlays(dir) };
  }
}

/** It is another one when a file of the folder itself, such as the journal, has come or gone. */
async function stampOf(dir: string): Promise<string> {
  const [{ mtimeNs }, journal] = await Promise.all([
    stat(dir, { bigint: true }),
    readIfThere(join(dir, JOURNAL)),
  ]).catch((error: unknown) => rethrowMissing(dir, error));
  return `${mtimeNs} ${journal ?? ''}`;
}

async function readTexts(dir: string): Promise<FleetTexts> {
  const texts = new Map([[FLEET_FILE, await readFleetFile(dir)]]);
  for (const folder of PART_FOLDERS) {
    for (const file of await listYaml(dir, folder)) texts.set(file, await readFile(join(dir, file), 'utf8'));
  }
  return texts;
}

async function readFleetFile(dir: string): Promise<string> {
  try {
    return await readFile(join(dir, FLEET_FILE), 'utf8');
  } catch (error) {
    return rethrowMissing(dir, error);
  }
}

function rethrowMissing(dir: string, error: unknown): never {
  if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'ENOTDIR') throw error;
  throw new BladerootError('FLEET_MISSING', `there is no ${FLEET_FILE} in ${dir}`, {
    hint: 'name the fleet folder with --fleet DIR, or make one with "bladeroot init"',
    cause: error,
  });
}

/** All files that look like YAML below a folder, sorted by their path; what an editor or git keeps hidden is left out. */
async function listYaml(dir: string, folder: string): Promise<string[]> {
  const entries = await entriesOf(join(dir, folder));
  const files = await Promise.all(
    entries
      .filter(({ name }) => !name.startsWith('.'))
      .map(async (entry) => {
        const path = posix.join(folder, entry.name);
        if (entry.isDirectory()) return await listYaml(dir, path);
        return /\.ya?ml$/.test(entry.name) ? [path] : [];
      }),
  );
  return files.flat().sort();
}

/** The names of the folders in overlays/. */
export async function listOverlays(dir: string): Promise<string[]> {
  const entries = await entriesOf(join(dir, 'overlays'));
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

async function entriesOf(dir: string): Promise<Dirent[]> {
  try {
    return await readdir(dir, { withFileTypes: true });
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** A fault with the file and line in which it stands. */
export function faultPlace(source: FleetSource, { path, message }: Fault): Finding {
  const { file, line } = source.placeOf(path);
  return { file, line, message: path.length === 0 ? message : `${shownPath(path)}: ${message}` };
}

/** `line 12` for what stands in the same file as what it is said of, else `profiles/web.yaml:3`. */
function shownPlace(source: FleetSource, path: Path, from: Path): string {
  const { file, line } = source.placeOf(path);
  return file === source.placeOf(from).file ? `line ${line}` : `${file}:${line}`;
}

type Issue = z.core.$ZodIssue;

function faultsOf(issue: Issue): Fault[] {
  const path = pathOf(issue);
  if (issue.code === 'unrecognized_keys') {
    const messages = issue.message.split('\n');
    return issue.keys.map((key, index) => ({
      path: [...path, key],
      message: messages[index] ?? issue.message,
    }));
  }
  if (issue.code === 'invalid_key') {
    return issue.issues.map(({ message }) => ({ path, message: `the name ${message}` }));
  }
  return [{ path, message: issue.message }];
}

function pathOf(issue: Issue): Path {
  return issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
}

/** What remains of a fleet when everything that has a fault of its own is taken out. */
function draftOf(data: unknown, issues: readonly Issue[]) {
  const rest: unknown = structuredClone(data);
  for (const issue of issues) {
    const path = pathOf(issue);
    if (issue.code === 'unrecognized_keys') for (const key of issue.keys) remove(rest, [...path, key]);
    else remove(rest, path);
  }
  const draft = draftSchema.safeParse(rest);
  return draft.success ? draft.data : draftSchema.parse({});
}

/** Takes a value out of a map; out of a list, the whole list, so that its other items keep their place. */
function remove(data: unknown, path: Path): void {
  const [part, ...rest] = path;
  if (part === undefined || typeof data !== 'object' || data === null) return;
  const child: unknown = Reflect.get(data, part);
  if (rest.length === 0 || Array.isArray(child)) Reflect.deleteProperty(data, part);
  else remove(child, rest);
}

function keysOf(data: unknown, field: string): string[] {
  const map: unknown = typeof data === 'object' && data !== null ? Reflect.get(data, field) : undefined;
  return typeof map === 'object' && map !== null ? Object.keys(map) : [];
}

/** `blades.web01.overlays[0]`. */
export function shownPath(path: Path): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join('');
}
