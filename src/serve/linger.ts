/**
 * Whether to wait awake for a client's answer. To sleep and be woken costs more than a client that is near takes to answer,
 * and without windows that is paid for every block. A client further away answers too late for it.
 */
export class Linger {
  /** How long answers take, in milliseconds: an average in which the last few weigh most. */
  #usualMs = FAR_MS;

  /** How long an answer has taken, in milliseconds. */
  answered(milliseconds: number): void {
    this.#usualMs += (Math.min(milliseconds, FAR_MS) - this.#usualMs) * WEIGHT;
  }

  /** For how many milliseconds the next answer is worth waiting for; 0: sleep. */
  get milliseconds(): number {
    return this.#usualMs <= NEAR_MS ? LONGEST_MS : 0;
  }
}

const WEIGHT = 1 / 8;
const NEAR_MS = 0.1;
/** Bounded, as others may want the processor; a window of 16 blocks takes a client nearby some 70 microseconds. */
const LONGEST_MS = 0.1;
/** So far away is who has not answered yet. */
const FAR_MS = 0.5;
