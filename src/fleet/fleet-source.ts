/** The YAML files of a fleet folder as one fleet. Pure. */
import { posix } from 'node:path';
import type { Finding } from './findings.ts';
import { YamlSource, type Path } from './source.ts';

export const FLEET_FILE = 'fleet.yaml';
/** Folders of which each file is one thing, named after it: `profiles/web.yaml` is what `profiles.web` may be in fleet.yaml. */
export const PART_FOLDERS = ['profiles', 'blades'] as const;
export type PartFolder = (typeof PART_FOLDERS)[number];

/** The text of each YAML file, by its path in the fleet folder. */
export type FleetTexts = ReadonlyMap<string, string>;

/** Where something of the fleet is written. */
export interface Place {
  /** Relative to the fleet folder. */
  file: string;
  /** From 1. */
  line: number;
  /** The way to it within that file: none for a profile or a blade that is the whole file. */
  path: Path;
}

interface Part {
  folder: PartFolder;
  name: string;
  source: YamlSource;
}

/** What all files say together, and where each thing stands. */
export class FleetSource {
  /** As if all of it stood in fleet.yaml; undefined where there are syntax errors. */
  readonly data: unknown;
  /** Why some file is not YAML at all. */
  readonly syntaxErrors: readonly Finding[];
  /** What stands twice, in one file or in two, and files that nobody would read. */
  readonly findings: readonly Finding[];
  readonly #main: YamlSource;
  readonly #parts = new Map<string, YamlSource>();

  constructor(texts: FleetTexts) {
    this.#main = new YamlSource(FLEET_FILE, texts.get(FLEET_FILE) ?? '');
    const found = [...texts].flatMap(([file, text]) => partOf(file, text));
    const sources = [this.#main, ...found.map(({ source }) => source)];
    this.syntaxErrors = sources.flatMap((source) => source.syntaxErrors);
    const findings = sources.flatMap((source) => source.duplicateKeys());
    let data = this.#main.data;
    for (const { folder, name, source } of found) {
      const key = `${folder}/${name}`;
      const other = this.#parts.get(key);
      if (has(this.#main.data, folder, name)) findings.push(twice(folder, name, source, this.#main));
      else if (other !== undefined) findings.push(twice(folder, name, source, other));
      else {
        this.#parts.set(key, source);
        data = withPart(data, folder, name, source.data ?? {});
      }
    }
    this.findings = [...findings, ...[...texts.keys()].flatMap(strayOf)];
    if (this.syntaxErrors.length === 0) this.data = data;
  }

  /** Where a value stands, or, where there is no such value, the nearest thing around it. */
  placeOf(path: Path): Place {
    const [folder, name, ...rest] = path;
    const part = this.#parts.get(`${folder}/${name}`);
    if (part !== undefined) return { file: part.file, line: part.lineOf(rest), path: rest };
    return { file: FLEET_FILE, line: this.#main.lineOf(path), path };
  }
}

/** `web` of `profiles` for profiles/web.yaml, in whatever folder below profiles/ it is; none for another file. */
function partOf(file: string, text: string): Part[] {
  const folder = PART_FOLDERS.find((candidate) => file.startsWith(`${candidate}/`));
  if (folder === undefined || !file.endsWith('.yaml')) return [];
  return [{ folder, name: posix.basename(file, '.yaml'), source: new YamlSource(file, text) }];
}

function strayOf(file: string): Finding[] {
  if (!file.endsWith('.yml')) return [];
  const right = `${file.slice(0, -'.yml'.length)}.yaml`;
  return [{ file, line: 1, message: `is not read: its name has to end in .yaml; name it ${right}` }];
}

function twice(folder: PartFolder, name: string, here: YamlSource, there: YamlSource): Finding {
  const path = there.file === FLEET_FILE ? [folder, name] : [];
  const first = `${there.file}:${there.lineOf(path)}`;
  return {
    file: here.file,
    line: 1,
    message: `${folder}.${name} stands in ${first} as well; remove one of the two`,
  };
}

function has(data: unknown, folder: PartFolder, name: string): boolean {
  const map = mapAt(data, folder);
  return map !== undefined && Object.hasOwn(map, name);
}

/** What stands at `folder` where no map can be put stays: the schema says what is wrong with it. */
function withPart(data: unknown, folder: PartFolder, name: string, part: unknown): unknown {
  if (!isMap(data)) return data;
  const there: unknown = Reflect.get(data, folder) ?? {};
  return isMap(there) ? { ...data, [folder]: { ...there, [name]: part } } : data;
}

function mapAt(data: unknown, field: string): object | undefined {
  const map: unknown = isMap(data) ? Reflect.get(data, field) : undefined;
  return isMap(map) ? map : undefined;
}

function isMap(data: unknown): data is object {
  return typeof data === 'object' && data !== null && !Array.isArray(data);
}
