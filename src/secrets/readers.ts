/** Who is to read the secrets of an overlay, and who can. Pure. */
import { resolveFleet } from '../fleet/resolve.ts';
import type { Fleet } from '../fleet/schema.ts';

/** Those who are to read an overlay's secrets. */
export interface Readers {
  /** Blades with the overlay whose identity is accepted, by name. */
  blades: ReadonlyMap<string, string>;
  /** Names of blades with the overlay that nobody has accepted yet. */
  waiting: readonly string[];
  /** The fleet's recovery recipients. */
  recovery: readonly string[];
}

/** How a file differs from what it should be. */
export interface Difference {
  /** Who should be able to read it and cannot: names of blades, and `recovery`. */
  missing: string[];
  /** Recipients that should not read it, and can. */
  surplus: string[];
}

export const RECOVERY = 'recovery';

/** The readers of every overlay that a blade of the fleet has. */
export function readersByOverlay(fleet: Fleet): (overlay: string) => Readers {
  const having = new Map<string, { name: string; recipient?: string | undefined }[]>();
  for (const { name, recipient, overlays } of resolveFleet(fleet)) {
    for (const overlay of overlays) {
      const blades = having.get(overlay) ?? [];
      blades.push({ name, recipient });
      having.set(overlay, blades);
    }
  }
  return (overlay) => {
    const blades = having.get(overlay) ?? [];
    return {
      blades: new Map(
        blades.flatMap(({ name, recipient }) => (recipient === undefined ? [] : [[name, recipient]])),
      ),
      waiting: blades.flatMap(({ name, recipient }) => (recipient === undefined ? [name] : [])),
      recovery: fleet.secrets.recovery,
    };
  };
}

/** Each once, in a fixed order: whom a file is to be encrypted to. */
export function recipientsOf({ blades, recovery }: Readers): string[] {
  return [...new Set([...recovery, ...blades.values()])].sort();
}

/** Undefined when the file is as it should be; of a file whose recipients are unknown, everything is missing. */
export function differenceOf(
  recipients: readonly string[] | undefined,
  readers: Readers,
): Difference | undefined {
  const can = new Set(recipients);
  const missing = [...readers.blades].flatMap(([name, recipient]) => (can.has(recipient) ? [] : [name]));
  if (readers.recovery.some((recipient) => !can.has(recipient))) missing.push(RECOVERY);
  const should = new Set(recipientsOf(readers));
  const surplus = [...can].filter((recipient) => !should.has(recipient));
  if (recipients !== undefined && missing.length === 0 && surplus.length === 0) return undefined;
  return { missing, surplus };
}
