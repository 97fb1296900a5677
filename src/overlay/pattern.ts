import type { FileEntry, OverlayEntry } from './entry.ts';
import type { LaidOver } from './laid-over.ts';
import { joinLines } from './lines.ts';

/** Of a content that was joined of several, one: what is the same on all blades, or which of the own files it is. */
type Part = Buffer | number;

/**
 * What blades have in common that are alike but for what some files of their own say: all that is laid over the image,
 * with those files to be filled in. A thousand blades of four kinds are laid four times.
 */
export class Pattern {
  readonly #entries: readonly OverlayEntry[];
  /** What of own files goes into each entry; undefined where nothing does. */
  readonly #fills: readonly (readonly Part[] | undefined)[];
  /** What own files said that something else depends on, such as a unit of which a service is started. */
  readonly #looked: readonly (readonly [own: number, content: Buffer])[];

  /**
   * @param root of one of the blades
   * @param own its files, the others' in the same order; they are known by their content, which no two of them share
   */
  constructor(root: LaidOver, own: readonly FileEntry[]) {
    const numbers = new Map(own.map(({ content }, number) => [content, number]));
    this.#entries = root.entries();
    this.#fills = this.#entries.map((entry) => {
      if (entry.type !== 'file') return undefined;
      const parts = root.partsOf(entry.content).map((part) => numbers.get(part) ?? part);
      return parts.some((part) => typeof part === 'number') ? parts : undefined;
    });
    this.#looked = [...numbers]
      .filter(([content]) => root.hasLookedAt(content))
      .map(([content, number]) => [number, content]);
  }

  /** Whether a blade with these files of its own has all else as it is here. */
  fits(own: readonly FileEntry[]): boolean {
    return this.#looked.every(([number, content]) => own[number]?.content.equals(content) === true);
  }

  /** All that is laid over the image for that blade. */
  entries(own: readonly FileEntry[]): OverlayEntry[] {
    return this.#entries.map((entry, index) => {
      const fill = this.#fills[index];
      if (fill === undefined || entry.type !== 'file') return entry;
      const contents = fill.map((part) => (typeof part === 'number' ? own[part]?.content : part) ?? EMPTY);
      const [only = EMPTY] = contents;
      const content = contents.length === 1 ? only : joinLines(contents);
      return content === entry.content ? entry : { ...entry, content };
    });
  }
}

const EMPTY = Buffer.alloc(0);
