/** Which packages an image has, by what its package manager has written down: dpkg's status file, or Portage's database. */
import type { ImageFiles } from './files.ts';

export interface Packages {
  manager: 'dpkg' | 'portage';
  /** By name, each with its versions: several where there are several slots or architectures. */
  versions: ReadonlyMap<string, readonly string[]>;
}

const DPKG_STATUS = 'var/lib/dpkg/status';
const PORTAGE_DATABASE = 'var/db/pkg';

/** Undefined where the image has neither, or nothing in it. */
export async function readPackages(image: ImageFiles): Promise<Packages | undefined> {
  if ((await image.stat(DPKG_STATUS))?.type === 'file') {
    return { manager: 'dpkg', versions: parseDpkgStatus((await image.read(DPKG_STATUS)).toString()) };
  }
  const installed: [name: string, version: string][] = [];
  for (const category of await image.list(PORTAGE_DATABASE)) {
    for (const entry of await image.list(`${PORTAGE_DATABASE}/${category}`)) {
      const [, name, version] = PORTAGE_ENTRY.exec(entry) ?? [];
      if (name !== undefined && version !== undefined) installed.push([`${category}/${name}`, version]);
    }
  }
  return installed.length === 0 ? undefined : { manager: 'portage', versions: byName(installed) };
}

/** Name and version as PMS has them (§3.1.2, §3.2); what Portage is just merging begins with a hyphen and is none. */
const PORTAGE_ENTRY =
  /^([A-Za-z0-9_][A-Za-z0-9+_-]*?)-(\d+(?:\.\d+)*[a-z]?(?:_(?:alpha|beta|pre|rc|p)\d*)*(?:-r\d+)?)$/;

/** Those that are installed, not those of which configuration is left (deb-status: dpkg(1), "package states"). */
export function parseDpkgStatus(text: string): Map<string, string[]> {
  const installed = text.split('\n\n').flatMap((paragraph): [string, string][] => {
    const field = (name: string): string | undefined =>
      new RegExp(`^${name}: (.*)$`, 'm').exec(paragraph)?.[1]?.trim();
    const [name, version] = [field('Package'), field('Version')];
    const isInstalled = field('Status')?.endsWith(' installed') === true;
    return name === undefined || version === undefined || !isInstalled ? [] : [[name, version]];
  });
  return byName(installed);
}

function byName(installed: readonly [name: string, version: string][]): Map<string, string[]> {
  const versions = new Map<string, string[]>();
  for (const [name, version] of installed) {
    const known = versions.get(name) ?? [];
    if (!known.includes(version)) versions.set(name, [...known, version].sort());
  }
  return versions;
}

export interface PackageChange {
  name: string;
  /** The versions that are there before and not after; none: it was added. */
  from: string[];
  /** None: it was removed. */
  to: string[];
}

/** By name. Where another package manager is at work afterwards, nothing of the two is the same. */
export function diffPackages(before: Packages, after: Packages): PackageChange[] {
  const isSame = before.manager === after.manager;
  const names = new Set([...before.versions.keys(), ...after.versions.keys()]);
  return [...names].sort().flatMap((name) => {
    const [old, now] = [before.versions.get(name) ?? [], after.versions.get(name) ?? []];
    const from = old.filter((version) => !isSame || !now.includes(version));
    const to = now.filter((version) => !isSame || !old.includes(version));
    return from.length === 0 && to.length === 0 ? [] : [{ name, from, to }];
  });
}
