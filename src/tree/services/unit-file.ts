/** The [Install] section of a systemd unit (systemd.unit(5)). */
export interface InstallSection {
  wantedBy: string[];
  requiredBy: string[];
  upheldBy: string[];
  alias: string[];
  also: string[];
  defaultInstance: string | undefined;
}

/** Reads the [Install] section of a unit file; all is empty where there is none. */
export function parseInstallSection(text: string): InstallSection {
  const lists = new Map<string, string[]>();
  for (const { key, words } of assignments(text, '[Install]')) {
    // An empty assignment takes back what was assigned before.
    lists.set(key, words.length === 0 ? [] : [...(lists.get(key) ?? []), ...words]);
  }
  const list = (key: string): string[] => lists.get(key) ?? [];
  return {
    wantedBy: list('WantedBy'),
    requiredBy: list('RequiredBy'),
    upheldBy: list('UpheldBy'),
    alias: list('Alias'),
    also: list('Also'),
    defaultInstance: list('DefaultInstance').at(-1),
  };
}

/** The settings of [Unit] by which a unit starts others with it. */
const STARTING = new Set(['Wants', 'Requires', 'BindsTo', 'Upholds']);

/** The units that are started with this one; those assignments cannot be taken back. */
export function parseStartedUnits(text: string): string[] {
  return [...assignments(text, '[Unit]')].flatMap(({ key, words }) => (STARTING.has(key) ? words : []));
}

/** What is assigned in a section, as words. */
function* assignments(text: string, wanted: string): Generator<{ key: string; words: string[] }> {
  let section = '';
  for (const line of logicalLines(text)) {
    if (line.startsWith('[')) section = line;
    const equals = line.indexOf('=');
    if (section !== wanted || equals < 0) continue;
    const value = line.slice(equals + 1);
    yield { key: line.slice(0, equals).trim(), words: value.split(/\s+/).filter((word) => word !== '') };
  }
}

/** Lines without comments, those that end in a backslash joined with the next (systemd.syntax(7)). */
function logicalLines(text: string): string[] {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => !/^[#;]/.test(line));
  return lines.join('\n').replaceAll('\\\n', ' ').split('\n');
}

const SUFFIX = /\.(service|socket|timer|target|path|mount|automount|swap|slice|device|scope)$/;

/** A unit name taken apart: `getty@tty1.service` is prefix `getty`, instance `tty1`, suffix `.service`. */
export interface UnitName {
  /** Whole, with its suffix. */
  name: string;
  prefix: string;
  /** Undefined for a unit that is no instance; '' for a template itself. */
  instance: string | undefined;
  suffix: string;
  /** The name of the file that defines it, if it has none of its own: `getty@.service`. */
  template: string | undefined;
}

/** Takes a unit name apart; without a suffix it names a service. */
export function parseUnitName(text: string): UnitName {
  const name = SUFFIX.test(text) ? text : `${text}.service`;
  const dot = name.lastIndexOf('.');
  const [stem, suffix] = [name.slice(0, dot), name.slice(dot)];
  const at = stem.indexOf('@');
  if (at < 0) return { name, prefix: stem, instance: undefined, suffix, template: undefined };
  const prefix = stem.slice(0, at);
  return { name, prefix, instance: stem.slice(at + 1), suffix, template: `${prefix}@${suffix}` };
}

/** The unit of a template for one instance. */
export function instanceOf(unit: UnitName, instance: string): UnitName {
  return parseUnitName(`${unit.prefix}@${instance}${unit.suffix}`);
}

/** Fills in the specifiers that make sense in [Install] (systemd.unit(5)); others stay as they are. */
export function expandSpecifiers(text: string, unit: UnitName): string {
  const values: Record<string, string> = {
    '%': '%',
    i: unit.instance ?? '',
    n: unit.name,
    N: unit.name.slice(0, -unit.suffix.length),
    p: unit.prefix,
    j: unit.prefix.slice(unit.prefix.lastIndexOf('-') + 1),
  };
  return text.replaceAll(/%(.)/g, (whole, letter: string) => values[letter] ?? whole);
}
