/** Who sends next where many fetch files at once: some in each turn of the event loop, one after the other. */

/** How many pieces are handed to the system in one turn of the event loop. */
const IN_ONE_TURN = 8;
/** For so long do those who have begun wait for newcomers, in milliseconds. */
const LONGEST_HOLD_MS = 500;

/**
 * Node takes one new connection in each turn of its event loop (libuv), and reads a request in another. If a turn sent a
 * piece to each of a thousand clients, it would take a fifth of a second, and a request behind a thousand others would wait
 * for minutes. So a turn sends a few pieces, and none while newcomers keep coming.
 */
export class SendTurns {
  readonly #waiting: (() => void)[] = [];
  readonly #known = new WeakSet<object>();
  #isAnyoneNew = false;
  #heldSince = 0;
  #isScheduled = false;

  /** To be called first for each file asked for. Where others wait, the first on a connection waits as well. */
  async arrive(connection: object): Promise<void> {
    if (this.#known.has(connection)) return;
    this.#known.add(connection);
    this.#isAnyoneNew = true;
    if (this.#isScheduled) await this.next();
  }

  /** Resolves when it is the caller's turn to send one piece; first come, first served. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#isScheduled) return;
      this.#heldSince = performance.now();
      this.#schedule();
    });
  }

  #schedule(): void {
    this.#isScheduled = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#isScheduled = false;
    const now = performance.now();
    if (!this.#isAnyoneNew || now - this.#heldSince > LONGEST_HOLD_MS) {
      this.#heldSince = now;
      for (const resolve of this.#waiting.splice(0, IN_ONE_TURN)) resolve();
    }
    this.#isAnyoneNew = false;
    if (this.#waiting.length > 0) this.#schedule();
  }
}
