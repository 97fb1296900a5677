import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { BladerootError, errorCode } from '../errors.ts';
import { checkFleet, type Fault } from './check.ts';
import { FleetErrors } from './findings.ts';
import { draftSchema, fleetSchema, type Fleet } from './schema.ts';
import { YamlSource, type Path } from './source.ts';

export const FLEET_FILE = 'fleet.yaml';

/**
 * Reads a fleet folder.
 * @throws BladerootError `FLEET_MISSING` when there is none, FleetErrors with every fault in it.
 */
export async function loadFleet(dir: string): Promise<Fleet> {
  return parseFleet(await readFleetFile(dir), await listOverlays(dir));
}

/**
 * Reads the text of `fleet.yaml`, with the names of the folders that there are in overlays/.
 * @throws FleetErrors with every fault in it.
 */
export function parseFleet(text: string, overlays: readonly string[]): Fleet {
  const source = new YamlSource(FLEET_FILE, text);
  if (source.syntaxErrors.length > 0) throw new FleetErrors(source.syntaxErrors);
  const parsed = fleetSchema.safeParse(source.data);
  const faults = [
    ...(parsed.error === undefined ? [] : parsed.error.issues.flatMap(faultsOf)),
    ...checkFleet(draftOf(source.data, parsed.error?.issues ?? []), {
      overlays,
      profiles: keysOf(source.data, 'profiles'),
      faulty: (path) =>
        parsed.error?.issues.some((issue) => shownPath(pathOf(issue)) === shownPath(path)) === true,
      place: (path) => `line ${source.lineOf(path)}`,
    }),
  ];
  const findings = [
    ...source.duplicateKeys(),
    ...faults.map(({ path, message }) => ({
      file: FLEET_FILE,
      line: source.lineOf(path),
      message: path.length === 0 ? message : `${shownPath(path)}: ${message}`,
    })),
  ];
  if (parsed.data === undefined || findings.length > 0) throw new FleetErrors(findings);
  return parsed.data;
}

async function readFleetFile(dir: string): Promise<string> {
  try {
    return await readFile(join(dir, FLEET_FILE), 'utf8');
  } catch (error) {
    if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'ENOTDIR') throw error;
    throw new BladerootError('FLEET_MISSING', `there is no ${FLEET_FILE} in ${dir}`, {
      hint: 'name the fleet folder with --fleet DIR, or make one with "bladeroot init"',
      cause: error,
    });
  }
}

/** The names of the folders in overlays/. */
export async function listOverlays(dir: string): Promise<string[]> {
  try {
    const entries = await readdir(join(dir, 'overlays'), { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
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
function shownPath(path: Path): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join('');
}
