/**
 * Room in the kernel's table of neighbours. Linux keeps the MACs of 1,024 machines, on all wires together, and sends nothing
 * to one more ("neighbor table overflow"; gc_thresh3 in arp(7)): of a larger fleet that is switched on at once, the others
 * would get neither loader nor script.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { errorCode } from '../errors.ts';

const SETTINGS = '/proc/sys/net/ipv4/neigh/default';
/** Machines that are no blades. */
const OTHERS = 256;

/** For how many there is to be room, for so many blades. */
export function neighboursWanted(blades: number): number {
  return blades + OTHERS;
}

/** For how many there is room; undefined in a network namespace, which shares the table and does not see its size. */
export function neighbourRoom(): number | undefined {
  try {
    return Number(readFileSync(`${SETTINGS}/gc_thresh3`, 'latin1'));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Makes the table larger where it is too small for so many blades, and this process may; else `doctor` tells of it. */
export function makeRoomForNeighbours(blades: number): void {
  const wanted = neighboursWanted(blades);
  if ((neighbourRoom() ?? wanted) >= wanted) return;
  try {
    // Up to the second one, the kernel throws out nobody whom it has heard of lately.
    writeFileSync(`${SETTINGS}/gc_thresh3`, `${2 * wanted}`);
    writeFileSync(`${SETTINGS}/gc_thresh2`, `${wanted}`);
  } catch (error) {
    if (!FORBIDDEN.has(errorCode(error) ?? '')) throw error;
  }
}

/** Not root's, or a container that shows the kernel's settings and lets nobody change them. */
const FORBIDDEN = new Set(['EACCES', 'EPERM', 'EROFS']);
