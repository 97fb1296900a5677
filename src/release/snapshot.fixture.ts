/** For tests: real snapshots of a small tree that changes, in a store, each upon the one before. */
import { createPublicKey, randomBytes } from 'node:crypto';
import { cp, mkdir, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { packTree } from '../image/pack.ts';
import { snapshotStatement, type SnapshotStatement } from '../image/statement.ts';
import { Store } from '../store/store.ts';
import { sampleKey } from './release.fixture.ts';
import { ReleaseRepository } from './repository.ts';
import { listSnapshot } from './snapshots.ts';

export const key = sampleKey();
export const publicKey = createPublicKey(key);

export interface Scene {
  directory: string;
  tree: string;
  store: Store;
  releases: ReleaseRepository;
  /** Oldest first. */
  snapshots: SnapshotStatement[];
}

const MIB = 1024 * 1024;

/** Writes files, by their paths in the tree. */
export async function writeTree(tree: string, files: Record<string, Buffer | string>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await writeFile(join(tree, path), content);
  }
}

/** Packs the tree as it is, upon the snapshot before, and lists it. */
export async function packNext(
  { tree, store, snapshots }: Scene,
  base = snapshots.at(-1),
): Promise<SnapshotStatement> {
  const created = new Date(Date.UTC(2026, 0, snapshots.length + 1));
  const statement = snapshotStatement(await packTree(tree, store, { base }), 'web', created);
  const listed = await listSnapshot(store, statement, key);
  snapshots.push(listed);
  return listed;
}

export async function emptyScene(t: TestContext): Promise<Scene> {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-manage-'));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  const tree = join(directory, 'tree');
  await mkdir(tree);
  const store = await Store.open(join(directory, 'store'));
  return { directory, tree, store, releases: new ReleaseRepository(directory, publicKey), snapshots: [] };
}

/**
 * Two snapshots: of both layers, in packs of several pieces; the second one has patches on the first, and a manifest that
 * can be made of the first one's.
 */
export async function twoSnapshots(t: TestContext): Promise<Scene> {
  const scene = await emptyScene(t);
  const kernel = randomBytes(2.5 * MIB);
  const files: Record<string, Buffer | string> = {};
  for (let i = 0; i < 40; i++) files[`etc/${i}`] = `setting ${i}\n`;
  await writeTree(scene.tree, {
    ...files,
    'boot/kernel': kernel,
    'usr/include/stdio.h': randomBytes(300_000),
    'usr/share/doc/readme': 'what nobody reads',
  });
  await packNext(scene);
  await writeTree(scene.tree, {
    'boot/kernel': Buffer.concat([kernel.subarray(0, MIB), Buffer.from('patched'), kernel.subarray(MIB)]),
    'usr/bin/new': randomBytes(1.2 * MIB),
  });
  await packNext(scene);
  return scene;
}

/** The same store once more, elsewhere. */
export async function copyOf({ directory, store }: Scene, name: string): Promise<Store> {
  await cp(store.directory, join(directory, name), { recursive: true });
  return await Store.open(join(directory, name));
}

/** Flips a bit of a byte. */
export async function flip(store: Store, path: string, at: number): Promise<void> {
  const file = await open(join(store.directory, path), 'r+');
  try {
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, at);
    await file.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, at);
  } finally {
    await file.close();
  }
}

export function packOf(statement: SnapshotStatement | undefined, layer: number, number: number): string {
  const pack = statement?.layers[layer]?.ways[0]?.[number];
  if (pack === undefined) throw new Error('there is no such pack');
  return pack.id;
}
