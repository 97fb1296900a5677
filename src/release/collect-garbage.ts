/** Removes from a store what neither a listed snapshot nor a release names. */
import type { KeyObject } from 'node:crypto';
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BladerootError } from '../errors.ts';
import type { SnapshotStatement } from '../image/statement.ts';
import { isCollectable } from '../store/layout.ts';
import type { Store } from '../store/store.ts';
import { namesIn } from '../system/read-file.ts';
import { syncDirectory } from '../system/write-file.ts';
import { dropWays } from './drop-ways.ts';
import { pathsNamedBy } from './named-paths.ts';
import type { ReleaseRepository } from './repository.ts';
import { publicHalf, type SigningKey } from './signing-key.ts';
import { readListed, signSnapshot } from './snapshots.ts';
import { releaseSnapshots, type ReleaseStatement } from './statement.ts';

export interface GarbageOptions {
  store: Store;
  releases: ReleaseRepository;
  publicKey: KeyObject;
  /** The fleet's private key: with it snapshots that can be had by several ways are left with those that cost least. */
  key?: SigningKey | undefined;
  /** What is being fetched, of snapshots that the store does not list yet: it stays. */
  coming?: { snapshots: readonly SnapshotStatement[]; releases: readonly ReleaseStatement[] } | undefined;
  /** Only says what would be removed. */
  dryRun?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

export interface Garbage {
  /** Paths in the store, with their lengths in bytes. */
  files: { path: string; bytes: number }[];
  /** Tags of snapshots that are gone. */
  tags: string[];
  /** Ways that snapshots have lost. */
  ways: number;
  /** Of all files. */
  bytes: number;
}

/**
 * The caller has the store's lock: alone, or shared for a dry run. A crash at any moment leaves every listed snapshot
 * whole: a statement that names less is signed and on the disk before what it named is removed.
 * @throws BladerootError `STORE_DAMAGED` when not all that is needed can be told: nothing is removed then
 */
export async function collectGarbage(options: GarbageOptions): Promise<Garbage> {
  const { store, key, dryRun = false, coming = { snapshots: [], releases: [] } } = options;
  const { statements, releases: published } = await readAll(options);
  const releases = [...published, ...coming.releases];
  const namedBy = (listed: readonly SnapshotStatement[]): ReadonlySet<string> =>
    pathsNamedBy([...listed, ...coming.snapshots], releases);
  const reduced = key === undefined ? [] : await dropWays(store, statements);
  const byId = new Map(reduced.map((statement) => [statement.id, statement]));
  const left = statements.map((statement) => byId.get(statement.id) ?? statement);

  const tags = await tagsOfNothing(store, statements);
  const garbage = { tags, files: [], ways: countWays(statements) - countWays(left) };
  if (dryRun) return withBytes(garbage, await unnamed(store, namedBy(left)));

  for (const tag of tags) await store.removeTag(tag);
  // First what needs no new statement: on a full disk there is no room for one.
  const files = await unnamed(store, namedBy(statements));
  await remove(store, files, options.signal);
  if (key !== undefined) for (const statement of reduced) await signSnapshot(store, statement, key);
  const more = await unnamed(store, namedBy(left));
  await remove(store, more, options.signal);
  return withBytes(garbage, [...files, ...more]);
}

async function readAll({ store, releases, publicKey, key }: GarbageOptions): Promise<{
  statements: SnapshotStatement[];
  releases: ReleaseStatement[];
}> {
  const listed = await readListed(store, key === undefined ? publicKey : publicHalf(key));
  const [damaged] = listed.damaged;
  if (damaged !== undefined) {
    throw unsure(
      `what snapshot ${damaged.id.slice(0, 12)} needs is not known: ${damaged.error.message}`,
      damaged.error,
    );
  }
  const all = await releases.all();
  const ids = new Set(listed.statements.map(({ id }) => id));
  for (const release of all) {
    const lost = releaseSnapshots(release).find(({ id }) => !ids.has(id));
    if (lost === undefined) continue;
    throw unsure(
      `release ${release.sequence} installs snapshot ${lost.id.slice(0, 12)}, whose statement is not here`,
    );
  }
  return { statements: listed.statements, releases: all };
}

function unsure(what: string, cause?: unknown): BladerootError {
  return new BladerootError('STORE_DAMAGED', `nothing was removed: ${what}`, {
    hint: '`bladeroot snapshot verify --repair-from URL` mends it, `bladeroot snapshot rm` removes a damaged one',
    cause,
  });
}

function countWays(statements: readonly SnapshotStatement[]): number {
  return statements.reduce((sum, { layers }) => sum + layers.reduce((n, { ways }) => n + ways.length, 0), 0);
}

async function tagsOfNothing(store: Store, statements: readonly SnapshotStatement[]): Promise<string[]> {
  const ids = new Set(statements.map(({ id }) => id));
  return [...(await store.readTags())].flatMap(([tag, id]) => (ids.has(id) ? [] : [tag]));
}

/** The files that may be removed and are not named, in an order in which indexes come before their packs. */
async function unnamed(store: Store, named: ReadonlySet<string>): Promise<Garbage['files']> {
  const files: Garbage['files'] = [];
  for (const folder of ['packs', 'manifests', 'blobs']) {
    for (const name of (await namesIn(join(store.directory, folder))).sort()) {
      const path = `${folder}/${name}`;
      if (!isCollectable(path) || named.has(path)) continue;
      files.push({ path, bytes: (await stat(join(store.directory, path))).size });
    }
  }
  return files;
}

async function remove(store: Store, files: Garbage['files'], signal?: AbortSignal): Promise<void> {
  for (const { path } of files) {
    signal?.throwIfAborted();
    await rm(join(store.directory, path), { force: true });
  }
  for (const folder of new Set(files.map(({ path }) => path.split('/')[0] ?? ''))) {
    await syncDirectory(join(store.directory, folder));
  }
}

function withBytes(garbage: Omit<Garbage, 'bytes'>, files: Garbage['files']): Garbage {
  return { ...garbage, files, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) };
}
