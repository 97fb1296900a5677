import type { Extent } from './manifest.ts';

/** Where the data of a file is, and the lengths of the parts that it becomes. */
export interface Scan {
  extents: readonly Extent[] | undefined;
  lengths: readonly number[];
}

/** Files that are scanned before it is their turn: a large one takes a second, in which others can be read. */
const AHEAD = 2;

/** Scans of files in the order in which they are asked for, begun before that. */
export class ScanAhead<File> {
  readonly #files: readonly File[];
  readonly #scan: (file: File) => Promise<Scan>;
  readonly #begun: Promise<Scan>[] = [];
  #next = 0;

  constructor(files: readonly File[], scan: (file: File) => Promise<Scan>) {
    this.#files = files;
    this.#scan = scan;
    this.#begin();
  }

  /** Whether all files have been taken. */
  get isAtEnd(): boolean {
    return this.#begun.length === 0;
  }

  /** The scan of the file that comes next. */
  async take(): Promise<Scan> {
    const scan = await this.#begun.shift();
    if (scan === undefined) throw new Error('all files have been taken');
    this.#begin();
    return scan;
  }

  #begin(): void {
    while (this.#begun.length < AHEAD) {
      const file = this.#files[this.#next++];
      if (file === undefined) return;
      const scan = this.#scan(file);
      // It is awaited in its turn; who gives up before that does not need to know.
      scan.catch(() => undefined);
      this.#begun.push(scan);
    }
  }
}
