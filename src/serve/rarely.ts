/** Lets the first of many alike things through, then none for a while: what everybody says in a storm is told once. */
export class Rarely {
  readonly #periodMs: number;
  readonly #now: () => number;
  readonly #last = new Map<string, number>();

  /** `now`: milliseconds of a clock that only goes forward. */
  constructor(periodMs: number, now: () => number = () => performance.now()) {
    this.#periodMs = periodMs;
    this.#now = now;
  }

  /** Whether this is the first for that key within the period. */
  first(key: string): boolean {
    const now = this.#now();
    const last = this.#last.get(key);
    if (last !== undefined && now - last < this.#periodMs) return false;
    // Keys come off the wire, so there is a bound; a map gives the oldest first.
    this.#last.delete(key);
    for (const oldest of this.#last.keys()) {
      if (this.#last.size < MOST_KEYS) break;
      this.#last.delete(oldest);
    }
    this.#last.set(key, now);
    return true;
  }
}

const MOST_KEYS = 1000;
