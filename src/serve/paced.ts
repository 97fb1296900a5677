/** Lets a few through at a time: what has waited for the disk together is not to leave all at once. */

/** Not many more packets of DHCP fit into the buffer of a relay, Linux's usual one, while it does something else. */
const AT_ONCE = 32;
const PERIOD_MS = 1;

export class Paced {
  #waiting: (() => void)[] = [];
  #left = AT_ONCE;
  #timer: NodeJS.Timeout | undefined;

  /** Does it at once, or in its turn where many others come before it. */
  do(work: () => void): void {
    this.#timer ??= setTimeout(() => this.#goOn(), PERIOD_MS);
    if (this.#left === 0) {
      this.#waiting.push(work);
      return;
    }
    this.#left--;
    work();
  }

  /** What waits is not done any more. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#waiting = [];
  }

  #goOn(): void {
    const next = this.#waiting.splice(0, Math.max(AT_ONCE, this.#waiting.length / 4));
    this.#left = Math.max(0, AT_ONCE - next.length);
    this.#timer = next.length === 0 ? undefined : setTimeout(() => this.#goOn(), PERIOD_MS);
    for (const work of next) work();
  }
}
