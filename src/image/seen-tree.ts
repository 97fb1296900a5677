/** A tree before anything of it is read: what a walk saw, and whether it would see every change from now on. */
import type { Digest } from '../store/digest.ts';
import { mountPointsBelow } from '../system/mounts.ts';
import type { BytePath } from './byte-path.ts';
import type { LayerPatterns } from './layers.ts';
import { readTreeRules } from './tree-rules.ts';
import { TreeRoot } from './tree-root.ts';
import { walkTree, type WalkedTree, type WalkOptions } from './walk.ts';

export interface SeenTreeOptions extends Omit<WalkOptions, 'onVanished'> {
  /** Beside the defaults and what the tree itself says. */
  patterns?: LayerPatterns | undefined;
  /** Whether things may vanish meanwhile, which are left out. */
  live?: boolean | undefined;
}

export class SeenTree {
  readonly root: TreeRoot;
  readonly things: WalkedTree;
  /** Between the look at the directory that it was in and the one at the thing itself. */
  readonly vanished: readonly BytePath[];
  /** When the walk began, less a tick of the kernel's clock; nanoseconds since 1970. */
  readonly #settled: bigint;

  private constructor(root: TreeRoot, things: WalkedTree, vanished: readonly BytePath[], settled: bigint) {
    this.root = root;
    this.things = things;
    this.vanished = vanished;
    this.#settled = settled;
  }

  /** Looks at everything in the tree, and at no file's content. @throws BladerootError `TREE_MISSING`, `TREE_CHANGED` */
  static async open(directory: string, options: SeenTreeOptions = {}): Promise<SeenTree> {
    const settled = BigInt(Date.now()) * 1_000_000n - CLOCK_GRAIN_NS;
    const { patterns, live, ...walking } = options;
    const vanished: BytePath[] = [];
    const onVanished = live === true ? (path: BytePath): void => void vanished.push(path) : undefined;
    const root = new TreeRoot(directory);
    try {
      const bounds = {
        rules: await readTreeRules(directory, patterns),
        mounts: await mountPointsBelow(directory),
      };
      const things = await walkTree(root, bounds, { ...walking, onVanished });
      return new SeenTree(root, things, vanished, settled);
    } catch (error) {
      root.close();
      throw error;
    }
  }

  /** Whether no change of a thing after the walk goes without its times moving. */
  isSettled(place: number): boolean {
    return this.things.ctime(place) < this.#settled;
  }

  /** What a later walk of the same tree will have again only if nothing has changed; undefined where that is not certain. */
  digest(): Digest | undefined {
    if (this.vanished.length > 0) return undefined;
    for (const place of this.things.paths.keys()) if (!this.isSettled(place)) return undefined;
    return this.things.digest;
  }

  close(): void {
    this.root.close();
  }
}

/** Times of files move in the kernel's ticks, of 10 ms at most: what was changed just before could be changed unseen. */
const CLOCK_GRAIN_NS = 20_000_000n;
