/**
 * Which things of a tree go to the layer `extra`, and which are left out of its image: patterns in the syntax of
 * .gitignore (gitignore(5)), first the distribution's defaults, then the tree's own, then those of the caller. A later
 * pattern decides, and `!pattern` takes one back. Listed in docs/format.md as well.
 */
import ignore, { type Ignore } from 'ignore';
import { fromText, type BytePath } from './byte-path.ts';
import type { Layer } from '../store/pack-index.ts';
import { LEFTOVERS } from './leftovers.ts';

/** Files in a tree, one pattern a line, that add to the defaults; `#` begins a comment. */
export const EXTRA_FILE = 'etc/bladeroot.extra';
export const EXCLUDE_FILE = 'etc/bladeroot.exclude';

/** What only building and maintaining a system needs, whatever the distribution. */
const EXTRA = [
  '/usr/include/**',
  '/usr/src/**',
  '/usr/share/doc/**',
  '/usr/share/gtk-doc/**',
  '/usr/share/info/**',
  '/usr/share/man/**',
  '/usr/local/share/man/**',
  '/usr/lib*/**/*.a',
];

/** The package tree, sources and packages; by the file that tells the distribution. */
const EXTRA_OF = {
  gentoo: [
    '/usr/portage/**',
    '/var/db/repos/**',
    '/var/cache/distfiles/**',
    '/var/cache/binpkgs/**',
    '/var/cache/edb/**',
  ],
  debian: ['/var/lib/apt/lists/**', '/var/cache/apt/**'],
} as const;

/** Where a distribution says which it is. */
export const DISTRIBUTIONS = { gentoo: 'etc/gentoo-release', debian: 'etc/debian_version' } as const;
export type Distribution = keyof typeof DISTRIBUTIONS;

/** What a tree, and who packs it, add to the defaults: lines of gitignore(5). */
export interface LayerPatterns {
  extra: readonly string[];
  exclude: readonly string[];
}

export interface LayerRules {
  /** Whether a thing, with all that is below it, is left out. */
  isExcluded(path: BytePath, kind: ThingKind): boolean;
  /** Whether a directory stays and what is in it does not. */
  isEmptied(path: BytePath): boolean;
  /** @param parent the layer of the directory that it lies in: nothing below `extra` is `run` */
  layerOf(path: BytePath, kind: ThingKind, parent: Layer): Layer;
}

export type ThingKind = 'dir' | 'file' | 'other';

export function layerRules(distributions: readonly Distribution[], own: LayerPatterns): LayerRules {
  const extra = new Patterns([...EXTRA, ...distributions.flatMap((name) => EXTRA_OF[name]), ...own.extra]);
  const excluded = new Patterns(own.exclude);
  const leftover = new Patterns(LEFTOVERS.files);
  const contents = new Set<BytePath>(LEFTOVERS.contents);
  return {
    isExcluded: (path, kind) => {
      const verdict = own.exclude.length > 0 ? excluded.test(path, kind) : undefined;
      if (verdict?.ignored === true || verdict?.unignored === true) return verdict.ignored;
      return kind === 'file' && leftover.test(path, kind).ignored;
    },
    isEmptied: (path) => contents.has(path),
    layerOf: (path, kind, parent) => (parent === 'extra' || extra.test(path, kind).ignored ? 'extra' : 'run'),
  };
}

/** What gitignore's patterns say of a path, which may be any bytes. */
export function patternMatcher(lines: readonly string[]): (path: BytePath, isDirectory: boolean) => boolean {
  const rules = new Patterns(lines);
  return (path, isDirectory) => lines.length > 0 && rules.test(path, isDirectory ? 'dir' : 'file').ignored;
}

/**
 * Patterns are matched against bytes, as names need not be UTF-8: so they are turned into bytes too. The matcher keeps
 * every path that it has seen, and is made anew before that becomes much.
 */
class Patterns {
  readonly #lines: readonly string[];
  #rules: Ignore;
  #tested = 0;

  constructor(lines: readonly string[]) {
    this.#lines = lines.map(fromText);
    this.#rules = this.#make();
  }

  test(path: BytePath, kind: ThingKind): { ignored: boolean; unignored: boolean } {
    if (++this.#tested % TESTS_KEPT === 0) this.#rules = this.#make();
    return this.#rules.test(kind === 'dir' ? `${path}/` : path);
  }

  #make(): Ignore {
    return ignore({ ignorecase: false, allowRelativePaths: true }).add(this.#lines);
  }
}

const TESTS_KEPT = 10_000;
