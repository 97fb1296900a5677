import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Store } from '../../store/store.ts';
import type { UnpackOptions } from '../unpack.ts';
import { makeTree, type ThingToMake } from './make-tree.ts';
import { scratch } from './scratch.ts';
import { pack, unpack } from './snapshot-of.ts';

export interface Place {
  base: string;
  /** What was packed. */
  tree: string;
  /** What is unpacked over. */
  out: string;
  unpack(options?: Partial<UnpackOptions>): Promise<void>;
}

/** A snapshot of these things. */
export async function place(t: TestContext, things: readonly ThingToMake[]): Promise<Place> {
  const base = await scratch(t);
  const [tree, out] = [join(base, 'tree'), join(base, 'out')];
  await makeTree(tree, things);
  const store = await Store.open(join(base, 'store'));
  const { statement } = await pack(tree, store);
  const again = async (options?: Partial<UnpackOptions>): Promise<void> =>
    await unpack(store, statement, out, options);
  return { base, tree, out, unpack: again };
}
