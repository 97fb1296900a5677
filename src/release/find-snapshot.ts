/** Which snapshot a person means: by its id or the beginning of it, by a tag, or by a tree's name for its newest one. */
import type { KeyObject } from 'node:crypto';
import { BladerootError, errorCode } from '../errors.ts';
import type { SnapshotStatement } from '../image/statement.ts';
import { isDigest, type Digest } from '../store/digest.ts';
import { fetchBytes } from '../store/fetch.ts';
import { isTag, tagPath } from '../store/layout.ts';
import type { Source } from '../store/source.ts';
import type { Store } from '../store/store.ts';
import { fetchSnapshot, readListed, readSnapshot, readSnapshots, type SignedSnapshot } from './snapshots.ts';

/** Fewer digits of an id are taken for a name. */
const SHORTEST_ID = /^[0-9a-f]{4,64}$/;

/**
 * The id of a listed snapshot, whose statement may be damaged. A whole id comes before a tag, a tag before the beginning
 * of an id.
 * @returns undefined when it is none of these
 * @throws BladerootError `UNKNOWN_SNAPSHOT` when it is the beginning of several ids, or a tag of what is gone
 */
export async function findId(store: Store, text: string): Promise<Digest | undefined> {
  const ids = await store.listSnapshots();
  if (ids.includes(text)) return text;
  const tagged = (await store.readTags()).get(text);
  if (tagged !== undefined) {
    if (ids.includes(tagged)) return tagged;
    throw new BladerootError('UNKNOWN_SNAPSHOT', `the tag ${text} stands for a snapshot that is gone`, {
      hint: `\`bladeroot snapshot tag ${text} ID\` gives it to another`,
    });
  }
  const begun = SHORTEST_ID.test(text) ? ids.filter((id) => id.startsWith(text)) : [];
  if (begun.length > 1) {
    throw new BladerootError('UNKNOWN_SNAPSHOT', `${text} is the beginning of ${begun.length} snapshots`, {
      hint: 'give more of the id',
    });
  }
  return begun[0];
}

/**
 * The snapshot that a person means.
 * @throws BladerootError `UNKNOWN_SNAPSHOT`, and `SIGNATURE_INVALID` when it is damaged, or may be: of a tree's snapshots
 * none can be called the newest while one of the store cannot be read
 */
export async function findSnapshot(
  store: Store,
  text: string,
  publicKey: KeyObject,
): Promise<SnapshotStatement> {
  const id = await findId(store, text);
  if (id !== undefined) return await readSnapshot(store, id, publicKey);
  const { statements, damaged } = await readListed(store, publicKey);
  const newest = statements.findLast(({ tree }) => tree === text);
  if (newest === undefined) throw unknown(text);
  const [unread] = damaged;
  if (unread !== undefined) {
    throw new BladerootError(
      'SIGNATURE_INVALID',
      `the newest snapshot of ${text} cannot be told, as ${unread.error.message}`,
      {
        hint: 'give an id; `bladeroot snapshot verify --repair-from` mends a store, `snapshot rm` removes from it',
        cause: unread.error,
      },
    );
  }
  return newest;
}

/**
 * The snapshot that a person means, or the newest one of all where none is named.
 * @throws BladerootError as `findSnapshot`, and `UNKNOWN_SNAPSHOT` when there is none at all
 */
export async function findOrNewest(
  store: Store,
  text: string | undefined,
  publicKey: KeyObject,
): Promise<SnapshotStatement> {
  if (text !== undefined) return await findSnapshot(store, text, publicKey);
  const newest = (await readSnapshots(store, publicKey)).at(-1);
  if (newest !== undefined) return newest;
  throw new BladerootError('UNKNOWN_SNAPSHOT', 'there is no snapshot to publish', {
    hint: 'make one with `bladeroot snapshot pack TREE`',
  });
}

/**
 * The newest snapshot of a tree, or the one that a tag stands for where that is newer; undefined when there is none.
 * What is damaged is left out.
 */
export async function newestOf(
  store: Store,
  { tree, tag }: { tree: string; tag?: string | undefined },
  publicKey: KeyObject,
): Promise<SnapshotStatement | undefined> {
  const { statements } = await readListed(store, publicKey);
  const tagged = tag === undefined ? undefined : (await store.readTags()).get(tag);
  return statements.findLast((snapshot) => snapshot.tree === tree || snapshot.id === tagged);
}

/**
 * A snapshot in any source, by its whole id or a tag.
 * @throws BladerootError `UNKNOWN_SNAPSHOT`, `SIGNATURE_INVALID`, and what the source throws
 */
export async function findAtSource(
  source: Source,
  text: string,
  publicKey: KeyObject,
): Promise<SignedSnapshot> {
  try {
    const id = isDigest(text) ? text : await fetchTag(source, text);
    return await fetchSnapshot(source, id, publicKey);
  } catch (error) {
    if (errorCode(error) !== 'SOURCE_MISSING') throw error;
    throw new BladerootError('UNKNOWN_SNAPSHOT', `${source.name} has no snapshot ${text}`, {
      hint: 'from another store a snapshot is named by a whole id or a tag',
      cause: error,
    });
  }
}

/** A tag is not signed: it says which of the snapshots that are signed is meant. */
async function fetchTag(source: Source, tag: string): Promise<Digest> {
  const path = isTag(tag) ? tagPath(tag) : undefined;
  if (path === undefined) throw unknown(tag);
  const id = (await fetchBytes(source, path, { maxBytes: 256 })).toString().trim();
  if (isDigest(id)) return id;
  throw new BladerootError('UNKNOWN_SNAPSHOT', `the tag ${tag} at ${source.name} is damaged`, {
    hint: 'give a whole id',
  });
}

function unknown(text: string): BladerootError {
  return new BladerootError('UNKNOWN_SNAPSHOT', `there is no snapshot ${text}`, {
    hint: '`bladeroot snapshot list` shows those that there are; `bladeroot snapshot pack` makes one',
  });
}
