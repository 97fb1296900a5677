/** How a mirror is, from what the kernel shows of it. Pure. */
import { listed } from '../../disks/wording.ts';

/** Of /sys/block/mdN/md (Linux, Documentation/admin-guide/md.rst). */
export interface MirrorFacts {
  /** How many halves are missing, or not complete yet. */
  degraded: number;
  /** `idle`, `recover`, `resync`, `check`, ... */
  syncAction: string;
  /** Paths of the partitions that it runs on. */
  halves: readonly string[];
  /** Of those that the kernel has given up. */
  failed: readonly string[];
}

export interface MirrorState {
  state: 'whole' | 'degraded' | 'rebuilding';
  /** For people. */
  message: string;
}

/** @param lacks why a half is missing, as far as that is known */
export function mirrorState(
  { degraded, syncAction, halves, failed }: MirrorFacts,
  lacks?: string,
): MirrorState {
  const on = `on ${listed(halves)}`;
  if (degraded === 0) return { state: 'whole', message: `the mirror is whole, ${on}` };
  const gone = failed.length === 0 ? '' : `; the kernel has given up ${listed(failed)}`;
  if (syncAction === 'recover' || syncAction === 'resync')
    return { state: 'rebuilding', message: `the mirror is being made whole, ${on}${gone}` };
  const why = lacks === undefined ? '' : `; ${lacks}`;
  const message = `the mirror lacks a half, all is ${on} alone${gone}${why}`;
  return { state: 'degraded', message: message.slice(0, 2000) };
}
