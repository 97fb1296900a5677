/** What came off the wire and was no packet or request: dropped, and counted. */
import { Rarely } from './rarely.ts';

/** What it should have been. */
export const DROPPED_KINDS = ['dhcp', 'tftp', 'http'] as const;

export type DroppedKind = (typeof DROPPED_KINDS)[number];

export interface Dropped {
  kind: DroppedKind;
  count: number;
  /** The last one; absent where there was none. `time` is in milliseconds since 1970. */
  last?: { time: number; from: string; reason: string };
}

/** Milliseconds in which the same sender is told of once. */
const TOLD_EVERY_MS = 60_000;

/** Since the root was started. */
export class DroppedPackets {
  readonly #dropped = new Map<DroppedKind, Dropped>(DROPPED_KINDS.map((kind) => [kind, { kind, count: 0 }]));
  readonly #told = new Rarely(TOLD_EVERY_MS);
  readonly #tell: (reason: string, doing: string) => void;

  /** @param tell what is to be known at once; each sender once a minute, as a flood would fill the log */
  constructor(tell: (reason: string, doing: string) => void) {
    this.#tell = tell;
  }

  /** @param from the sender's address */
  add(kind: DroppedKind, from: string, reason: string): void {
    const count = (this.#dropped.get(kind)?.count ?? 0) + 1;
    this.#dropped.set(kind, { kind, count, last: { time: Date.now(), from, reason } });
    if (this.#told.first(`${kind} ${from}`))
      this.#tell(`${from}: ${reason}`, `reading ${kind.toUpperCase()}`);
  }

  all(): Dropped[] {
    return [...this.#dropped.values()];
  }
}
