/** Snapshots as they are trusted: a statement signed by the fleet's key. */
import type { KeyObject } from 'node:crypto';
import { BladerootError } from '../errors.ts';
import { snapshotStatementSchema, type SnapshotStatement } from '../image/statement.ts';
import type { Digest } from '../store/digest.ts';
import { fetchBytes } from '../store/fetch.ts';
import { snapshotPath } from '../store/layout.ts';
import type { Source } from '../store/source.ts';
import type { Store } from '../store/store.ts';
import { openEnvelope, seal } from './envelope.ts';

const SNAPSHOT_TYPE = 'application/vnd.bladeroot.snapshot+json';

/** Far above what a statement needs; a source that sends more is not listened to. */
const MAX_ENVELOPE_BYTES = 1024 * 1024;

/** A statement with the exact bytes that were signed. */
export interface SignedSnapshot {
  statement: SnapshotStatement;
  envelope: Buffer;
}

/** Signs a snapshot and lists it in the store; all that it names is there already. */
export async function listSnapshot(
  store: Store,
  statement: SnapshotStatement,
  key: KeyObject,
): Promise<void> {
  await store.putSnapshot(statement.id, Buffer.from(seal(SNAPSHOT_TYPE, statement, key)));
}

/** @throws BladerootError `SIGNATURE_INVALID`, and what the source throws */
export async function fetchSnapshot(
  source: Source,
  id: Digest,
  publicKey: KeyObject,
): Promise<SignedSnapshot> {
  const envelope = await fetchBytes(source, snapshotPath(id), { maxBytes: MAX_ENVELOPE_BYTES });
  return { statement: open(envelope, id, publicKey), envelope };
}

/** @throws BladerootError `SIGNATURE_INVALID`, `SNAPSHOT_MISSING` */
export async function readSnapshot(
  store: Store,
  id: Digest,
  publicKey: KeyObject,
): Promise<SnapshotStatement> {
  return open(await store.readSnapshot(id), id, publicKey);
}

/** All snapshots of a store, oldest first. @throws BladerootError `SIGNATURE_INVALID` */
export async function readSnapshots(store: Store, publicKey: KeyObject): Promise<SnapshotStatement[]> {
  const ids = await store.listSnapshots();
  const statements = await Promise.all(ids.map((id) => readSnapshot(store, id, publicKey)));
  return statements.sort((left, right) => (left.created < right.created ? -1 : 1));
}

/**
 * The snapshot that a person means: an id, its beginning while that is unique, or a tree's name for its newest one.
 * @throws BladerootError `UNKNOWN_SNAPSHOT`
 */
export async function findSnapshot(
  store: Store,
  text: string,
  publicKey: KeyObject,
): Promise<SnapshotStatement> {
  const all = await readSnapshots(store, publicKey);
  const byId = /^[0-9a-f]{4,64}$/.test(text) ? all.filter(({ id }) => id.startsWith(text)) : [];
  if (byId.length > 1) {
    throw new BladerootError('UNKNOWN_SNAPSHOT', `${text} is the beginning of ${byId.length} snapshots`, {
      hint: 'give more of the id',
    });
  }
  const found = byId[0] ?? all.findLast(({ tree }) => tree === text);
  if (found !== undefined) return found;
  throw new BladerootError('UNKNOWN_SNAPSHOT', `there is no snapshot ${text}`, {
    hint: '`bladeroot snapshot list` shows those that there are; `bladeroot snapshot pack` makes one',
  });
}

/** The newest snapshot of a tree, or the one that has a tag; undefined when there is none. */
export async function newestOf(
  store: Store,
  { tree, tag }: { tree: string; tag?: string | undefined },
  publicKey: KeyObject,
): Promise<SnapshotStatement | undefined> {
  const all = await readSnapshots(store, publicKey);
  void tag;
  return all.findLast((snapshot) => snapshot.tree === tree);
}

function open(envelope: Uint8Array, id: Digest, publicKey: KeyObject): SnapshotStatement {
  const what = `snapshot ${id.slice(0, 12)}`;
  const expected = { payloadType: SNAPSHOT_TYPE, schema: snapshotStatementSchema, what };
  const statement = openEnvelope(envelope, expected, publicKey);
  if (statement.id === id) return statement;
  throw new BladerootError('SIGNATURE_INVALID', `${what} is another snapshot under its name`, {
    hint: 'it is not used; pack the tree again',
  });
}
