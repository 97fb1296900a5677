/** How many different texts are kept. */
const KEPT = 16_384;

/** Texts that many things have are in memory once: times, of which the files of a package have the same. */
export class SharedTexts {
  readonly #kept = new Map<string, string>();

  /** The same text, as it was first seen. */
  share(text: string): string {
    const kept = this.#kept.get(text);
    if (kept === undefined && this.#kept.size < KEPT) this.#kept.set(text, text);
    return kept ?? text;
  }
}
