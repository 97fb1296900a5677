/** Snapshots as they are trusted: a statement signed by the fleet's key. */
import type { KeyObject } from 'node:crypto';
import { BladerootError, errorCode } from '../errors.ts';
import { snapshotStatementSchema, type SnapshotStatement } from '../image/statement.ts';
import { isHere } from '../image/ways.ts';
import type { Digest } from '../store/digest.ts';
import { fetchBytes } from '../store/fetch.ts';
import { snapshotPath } from '../store/layout.ts';
import type { Source } from '../store/source.ts';
import type { Store } from '../store/store.ts';
import { openEnvelope } from './envelope.ts';
import { publicHalf, sealWith, type SigningKey } from './signing-key.ts';

const SNAPSHOT_TYPE = 'application/vnd.bladeroot.snapshot+json';

/** Far above what a statement needs; a source that sends more is not listened to. */
export const MAX_ENVELOPE_BYTES = 1024 * 1024;

/** A statement with the exact bytes that were signed. */
export interface SignedSnapshot {
  statement: SnapshotStatement;
  envelope: Buffer;
}

/** Signs a statement about a snapshot in a store, in place of the one that is listed, if any. */
export async function signSnapshot(
  store: Store,
  statement: SnapshotStatement,
  key: SigningKey,
): Promise<void> {
  await store.putSnapshot(statement.id, Buffer.from(await sealWith(SNAPSHOT_TYPE, statement, key)));
}

/**
 * Signs a snapshot and lists it in the store; all that it names is there already. One that is listed and all there
 * stays as it is, with the ways that it has, since the same content is the same snapshot wherever it was packed.
 * @returns what is listed in the end
 */
export async function listSnapshot(
  store: Store,
  statement: SnapshotStatement,
  key: SigningKey,
): Promise<SnapshotStatement> {
  const listed = await readIfSound(store, statement.id, publicHalf(key));
  if (listed !== undefined && (await isHere(store, listed))) return listed;
  await signSnapshot(store, statement, key);
  return statement;
}

/** @throws BladerootError `SIGNATURE_INVALID`, and what the source throws */
export async function fetchSnapshot(
  source: Source,
  id: Digest,
  publicKey: KeyObject,
): Promise<SignedSnapshot> {
  const path = snapshotPath(id);
  for (;;) {
    const envelope = await fetchBytes(source, path, { maxBytes: MAX_ENVELOPE_BYTES });
    try {
      return { statement: openSnapshot(envelope, id, publicKey), envelope };
    } catch (error) {
      if (errorCode(error) !== 'SIGNATURE_INVALID' || source.damaged?.(path) !== true) throw error;
    }
  }
}

/** @throws BladerootError `SIGNATURE_INVALID`, `SNAPSHOT_MISSING` */
export async function readSnapshot(
  store: Store,
  id: Digest,
  publicKey: KeyObject,
): Promise<SnapshotStatement> {
  return openSnapshot(await store.readSnapshot(id), id, publicKey);
}

/** A listed statement; undefined when it is missing or damaged. */
export async function readIfSound(
  store: Store,
  id: Digest,
  publicKey: KeyObject,
): Promise<SnapshotStatement | undefined> {
  try {
    return await readSnapshot(store, id, publicKey);
  } catch (error) {
    const code = errorCode(error);
    if (code !== 'SNAPSHOT_MISSING' && code !== 'SIGNATURE_INVALID') throw error;
    return undefined;
  }
}

/** What a store lists. */
export interface ListedSnapshots {
  /** Oldest first. */
  statements: SnapshotStatement[];
  /** Those whose statements are not what the fleet's key has signed, and why. */
  damaged: { id: Digest; error: BladerootError }[];
}

/** All snapshots of a store: a damaged one does not hide the others. */
export async function readListed(store: Store, publicKey: KeyObject): Promise<ListedSnapshots> {
  const listed: ListedSnapshots = { statements: [], damaged: [] };
  for (const id of await store.listSnapshots()) {
    try {
      listed.statements.push(await readSnapshot(store, id, publicKey));
    } catch (error) {
      if (!(error instanceof BladerootError) || error.code !== 'SIGNATURE_INVALID') throw error;
      listed.damaged.push({ id, error });
    }
  }
  listed.statements.sort((left, right) => (left.created < right.created ? -1 : 1));
  return listed;
}

/**
 * As `readListed`, for who has to know all of them.
 * @throws BladerootError `SIGNATURE_INVALID`
 */
export async function readSnapshots(store: Store, publicKey: KeyObject): Promise<SnapshotStatement[]> {
  const { statements, damaged } = await readListed(store, publicKey);
  const [first] = damaged;
  if (first !== undefined) throw first.error;
  return statements;
}

/**
 * What an envelope says of the snapshot `id`.
 * @throws BladerootError `SIGNATURE_INVALID`
 */
export function openSnapshot(envelope: Uint8Array, id: Digest, publicKey: KeyObject): SnapshotStatement {
  const what = `snapshot ${id.slice(0, 12)}`;
  const expected = { payloadType: SNAPSHOT_TYPE, schema: snapshotStatementSchema, what };
  const statement = openEnvelope(envelope, expected, publicKey);
  if (statement.id === id) return statement;
  throw new BladerootError('SIGNATURE_INVALID', `${what} is another snapshot under its name`, {
    hint: 'it is not used; pack the tree again',
  });
}
