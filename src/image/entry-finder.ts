import type { BytePath } from './byte-path.ts';
import type { ManifestEntry } from './manifest.ts';

/** Finds entries, which are in the order of their paths. Who goes through a tree in that order finds each with one look. */
export class EntryFinder {
  readonly #entries: readonly ManifestEntry[];
  /** Where the next one is looked for first. */
  #next = 0;

  constructor(entries: readonly ManifestEntry[]) {
    this.#entries = entries;
  }

  /** The place of the entry of a path. */
  placeOf(path: BytePath): number | undefined {
    const place = this.#pathAt(this.#next) === path ? this.#next : this.#search(path);
    if (this.#pathAt(place) !== path) return undefined;
    this.#next = place + 1;
    return place;
  }

  entryOf(path: BytePath): ManifestEntry | undefined {
    const place = this.placeOf(path);
    return place === undefined ? undefined : this.#entries[place];
  }

  #search(path: BytePath): number {
    let [low, high] = [0, this.#entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#pathAt(middle) ?? '') < path) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #pathAt(place: number): BytePath | undefined {
    return this.#entries[place]?.path;
  }
}
