/** What differs from one release to another: packages and files of the image, and the configuration of each blade. */
import type { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { diffManifests, type TreeDifference } from '../image/diff.ts';
import { parseManifest } from '../image/manifest.ts';
import { diffPackages, readPackages, type PackageChange } from '../image/packages.ts';
import { SnapshotFiles } from '../image/snapshot-files.ts';
import { decodeTar } from '../image/tar-decoder.ts';
import { sha256 } from '../store/digest.ts';
import type { Store } from '../store/store.ts';
import { readSnapshot } from './snapshots.ts';
import type { Blob, ReleaseBlade, ReleaseStatement } from './statement.ts';

/** Paths, each in order. */
export interface ArchiveDifference {
  added: string[];
  removed: string[];
  changed: string[];
}

export interface FieldChange {
  /** As in the release, such as `kernelArgs` or `services.start`. */
  field: string;
  /** Absent where there was or is no such value. */
  from?: unknown;
  to?: unknown;
}

export interface BladeDifference {
  name: string;
  change: 'added' | 'removed' | 'changed';
  fields: FieldChange[];
  /** Of its overlay; `.wh.NAME` stands for a file of the image that it is without. */
  overlay: ArchiveDifference;
  /** Whether its secrets are others, or for another machine: what is in them can be read by the blade alone. */
  secrets: boolean;
}

export interface ReleaseDifference {
  from: number;
  to: number;
  /** Of the image; undefined where both are the same snapshot. */
  image: { packages: PackageChange[] | undefined; files: TreeDifference } | undefined;
  /** Parts of the release beside the image, such as `kernel`. */
  parts: FieldChange[];
  /** Files of the fleet folder. */
  folder: ArchiveDifference;
  /** In the order of the newer release, those that are gone last; those that are the same are left out. */
  blades: BladeDifference[];
}

/** @throws BladerootError `SNAPSHOT_MISSING`, `SIGNATURE_INVALID`, and what reading the store throws */
export async function diffReleases(
  store: Store,
  before: ReleaseStatement,
  after: ReleaseStatement,
  publicKey: KeyObject,
): Promise<ReleaseDifference> {
  return {
    from: before.sequence,
    to: after.sequence,
    image: await diffImages(store, before.snapshot.id, after.snapshot.id, publicKey),
    parts: PARTS.flatMap((field) => changeOf(field, before[field], after[field])),
    folder: await diffArchives(store, before.config, after.config),
    blades: await diffBlades(store, before.blades, after.blades),
  };
}

const PARTS = ['fleet', 'snapshot', 'kernel', 'initrd', 'loaders', 'networks', 'key'] as const;

async function diffImages(
  store: Store,
  before: string,
  after: string,
  publicKey: KeyObject,
): Promise<ReleaseDifference['image']> {
  if (before === after) return undefined;
  const [old, now] = await Promise.all(
    [before, after].map(async (id) => {
      const files = await SnapshotFiles.open(store, await readSnapshot(store, id, publicKey));
      return { entries: parseManifest(await store.readManifest(id)), packages: await readPackages(files) };
    }),
  );
  if (old === undefined || now === undefined) throw new Error('two snapshots were read');
  const [was, is] = [old.packages, now.packages];
  return {
    packages: was === undefined || is === undefined ? undefined : diffPackages(was, is),
    files: diffManifests(old.entries, now.entries),
  };
}

async function diffBlades(
  store: Store,
  before: readonly ReleaseBlade[],
  after: readonly ReleaseBlade[],
): Promise<BladeDifference[]> {
  const all: BladeDifference[] = [];
  const nothing = { fields: [], overlay: NO_DIFFERENCE, secrets: false };
  for (const blade of after) {
    const old = before.find(({ name }) => name === blade.name);
    if (old === undefined) {
      all.push({ name: blade.name, change: 'added', ...nothing });
      continue;
    }
    const fields = fieldsOf(old, blade);
    const overlay = await diffArchives(store, old.overlay, blade.overlay);
    const secrets = old.secrets?.digest !== blade.secrets?.digest;
    if (fields.length === 0 && isNone(overlay) && !secrets) continue;
    all.push({ name: blade.name, change: 'changed', fields, overlay, secrets });
  }
  const gone = before.filter(({ name }) => !after.some((blade) => blade.name === name));
  return [...all, ...gone.map(({ name }): BladeDifference => ({ name, change: 'removed', ...nothing }))];
}

/** All but what is compared by content; of a pin its number says all. */
function fieldsOf(before: ReleaseBlade, after: ReleaseBlade): FieldChange[] {
  const [old, now] = [before, after].map(
    ({ overlay: _overlay, secrets: _secrets, services, pin, ...rest }) => ({
      ...rest,
      pin: pin?.release,
      'services.start': services?.start,
      'services.stop': services?.stop,
    }),
  );
  if (old === undefined || now === undefined) throw new Error('two blades were compared');
  const values = [new Map(Object.entries(old)), new Map(Object.entries(now))] as const;
  const fields = new Set([...values[0].keys(), ...values[1].keys()]);
  return [...fields].flatMap((field) => changeOf(field, values[0].get(field), values[1].get(field)));
}

function changeOf(field: string, from: unknown, to: unknown): FieldChange[] {
  if (isDeepStrictEqual(from, to)) return [];
  return [{ field, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }];
}

const NO_DIFFERENCE: ArchiveDifference = { added: [], removed: [], changed: [] };

export function isNone({ added, removed, changed }: ArchiveDifference): boolean {
  return added.length + removed.length + changed.length === 0;
}

async function diffArchives(store: Store, before: Blob, after: Blob): Promise<ArchiveDifference> {
  if (before.digest === after.digest) return NO_DIFFERENCE;
  const [old, now] = [await readArchive(store, before), await readArchive(store, after)];
  const both = [...now.keys()].filter((path) => old.has(path));
  return {
    added: only(now, old),
    removed: only(old, now),
    changed: both.filter((path) => now.get(path) !== old.get(path)).sort(),
  };
}

function only(here: ReadonlyMap<string, string>, there: ReadonlyMap<string, string>): string[] {
  return [...here.keys()].filter((path) => !there.has(path)).sort();
}

/** By path, a text that is the same only for the same thing. */
async function readArchive(store: Store, { digest }: Blob): Promise<Map<string, string>> {
  const archive = await readFile(store.blobPath(digest));
  const found = new Map<string, string>();
  for await (const { header, content } of decodeTar(once(archive))) {
    const chunks: Buffer[] = [];
    for await (const chunk of content) chunks.push(chunk);
    const { type, mode, uid, gid } = header;
    const target = header.target.toString('latin1');
    const path = header.path.toString().replace(/^\.\//, '').replace(/\/$/, '');
    found.set(path, JSON.stringify([type, mode, uid, gid, target, sha256(Buffer.concat(chunks))]));
  }
  return found;
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
