import { parseManifest } from '../image/manifest.ts';
import { blankBytes, packsOf, type SnapshotStatement } from '../image/statement.ts';
import { combinationsOf, missingObjects, type Combination } from '../image/ways.ts';
import { errorCode } from '../errors.ts';
import type { Digest } from '../store/digest.ts';
import type { PackIndex } from '../store/pack-index.ts';
import type { Store } from '../store/store.ts';

/**
 * Leaves each snapshot the cheapest of its complete ways, and others only where all their packs are needed anyway. One of
 * which nothing complete is here keeps all that it has.
 * @returns the statements that name less than before; they are not signed
 */
export async function dropWays(
  store: Store,
  statements: readonly SnapshotStatement[],
): Promise<SnapshotStatement[]> {
  const chosen = new Map<Digest, Combination>();
  const kept = new Set<Digest>();
  for (const statement of statements) {
    // Where there is no choice, nothing has to be read.
    const hasChoice = statement.layers.some(({ ways }) => ways.length > 1);
    const best = !hasChoice ? undefined : await cheapestWhole(store, statement);
    if (best !== undefined) chosen.set(statement.id, best);
    for (const { id } of best?.packs ?? packsOf(statement)) kept.add(id);
  }
  return statements.flatMap((statement) => {
    const best = chosen.get(statement.id);
    return best === undefined ? [] : withFewerWays(statement, best, kept);
  });
}

function withFewerWays(
  statement: SnapshotStatement,
  best: Combination,
  kept: ReadonlySet<Digest>,
): SnapshotStatement[] {
  const layers = statement.layers.map((layer) => ({
    ...layer,
    ways: layer.ways.filter(
      (way) => best.ways.get(layer.name) === way || way.every(({ id }) => kept.has(id)),
    ),
  }));
  const isSame = layers.every(({ ways }, i) => ways.length === statement.layers[i]?.ways.length);
  const storedBytes = blankBytes(layers, statement.manifest.storedBytes);
  return isSame ? [] : [{ ...statement, layers, storedBytes }];
}

/** The combination of ways that costs a blank blade least, of those that have all that the manifest names. */
export async function cheapestWhole(
  store: Store,
  statement: SnapshotStatement,
): Promise<Combination | undefined> {
  const entries = parseManifest(await store.readManifest(statement.id));
  const indexes = new Map<Digest, PackIndex>();
  for (const { id } of packsOf(statement)) {
    const index = await indexIfSound(store, id);
    if (index !== undefined) indexes.set(id, index);
  }
  return combinationsOf(statement).find((combination) => {
    if (!combination.packs.every(({ id }) => indexes.has(id))) return false;
    return missingObjects(combination, entries, (id) => required(indexes, id)).length === 0;
  });
}

async function indexIfSound(store: Store, id: Digest): Promise<PackIndex | undefined> {
  if (!(await store.hasPack(id))) return undefined;
  try {
    return await store.readPackIndex(id);
  } catch (error) {
    if (errorCode(error) !== 'PACK_INDEX_DAMAGED') throw error;
    return undefined;
  }
}

function required(indexes: ReadonlyMap<Digest, PackIndex>, id: Digest): PackIndex {
  const index = indexes.get(id);
  if (index === undefined) throw new Error(`the index of pack ${id} was not read`);
  return index;
}
