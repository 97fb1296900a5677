import { PIECE_SIZE } from './pack-index.ts';
import type { Source } from './source.ts';

/** Of one path. */
interface Blame {
  sources: Set<Source>;
  /** What was asked for last since somebody was blamed, by its first byte. */
  start: number | undefined;
}

/** Which of several sources gave damaged bytes for a path; it is asked for at its first damaged piece again. */
export class Blames {
  readonly #sources: readonly Source[];
  readonly #byPath = new Map<string, Blame>();
  /** Who gave the last bytes of a path, and how many had come since it was asked for. */
  readonly #given = new Map<string, { source: Source; bytes: number }>();

  constructor(sources: readonly Source[]) {
    this.#sources = sources;
  }

  has(path: string, source: Source): boolean {
    return this.#byPath.get(path)?.sources.has(source) === true;
  }

  given(path: string, source: Source, bytes: number): void {
    this.#given.set(path, { source, bytes });
  }

  /**
   * Whoever asks for what lies further on has got what was damaged before: all may be asked anew, but for the one whose
   * bytes were damaged last.
   */
  askedFor(path: string, start: number): void {
    const blame = this.#byPath.get(path);
    if (blame === undefined) return;
    if (blame.start !== undefined && start > blame.start)
      blame.sources = new Set([...blame.sources].slice(-1));
    blame.start = start;
  }

  /** Blames whoever gave the last bytes of a path; whether another may have better ones. */
  blame(path: string): boolean {
    const given = this.#given.get(path);
    if (given === undefined) return false;
    const blame: Blame = this.#byPath.get(path) ?? { sources: new Set(), start: undefined };
    const { sources } = blame;
    const anew = !sources.has(given.source);
    sources.add(given.source);
    // Where more than a piece came, what is damaged may lie beyond what the others were blamed for.
    const further = this.#sources.length > 1 && given.bytes > PIECE_SIZE;
    const another = anew && (sources.size < this.#sources.length || further);
    if (another) this.#byPath.set(path, blame);
    // Nobody has it whole. Who asks later asks in the usual order: it may have been mended.
    else this.#byPath.delete(path);
    return another;
  }
}
