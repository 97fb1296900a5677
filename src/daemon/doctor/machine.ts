/** The machine that the root runs on: its clock, and room for what it keeps and for whom it speaks to. */
import { statfs } from 'node:fs/promises';
import { errorCode } from '../../errors.ts';
import { run } from '../../system/run.ts';
import { neighboursWanted } from '../neighbour-room.ts';
import type { Finding } from './finding.ts';

/** Below it, the clock was never set. */
const WRITTEN = Date.UTC(2026, 0, 1);
/** Events, and the next release. */
const ROOM = { warning: 5e9, failure: 100e6 };

/**
 * @param now milliseconds since 1970
 * @param released when the current release was made, by the clock of then
 */
export async function checkClock(now: number, released: number | undefined): Promise<Finding> {
  const check = 'clock';
  const today = new Date(now).toISOString();
  const hint = 'set it, and let it be kept right: timedatectl set-ntp true';
  if (now < WRITTEN || (released !== undefined && now < released - 86_400_000)) {
    const message = `it says ${today}, which is before ${now < WRITTEN ? 'this program was written' : 'the release was made'}`;
    return { check, level: 'failure', message, hint };
  }
  const synchronised = await ntpState();
  if (synchronised === 'no') {
    return { check, level: 'warning', message: `it says ${today}, and nobody keeps it right`, hint };
  }
  const kept =
    synchronised === 'yes' ? 'and is kept right' : 'and whether somebody keeps it right cannot be told here';
  return { check, level: 'ok', message: `it says ${today}, ${kept}` };
}

async function ntpState(): Promise<string | undefined> {
  try {
    return (await run('timedatectl', ['show', '--property', 'NTPSynchronized', '--value'])).stdout.trim();
  } catch (error) {
    // Without systemd there is nobody to ask.
    if (errorCode(error) === 'PROGRAM_MISSING' || errorCode(error) === 'PROGRAM_FAILED') return undefined;
    throw error;
  }
}

export async function checkRoom(directory: string): Promise<Finding> {
  const check = 'disk';
  try {
    const { bavail, bsize } = await statfs(directory);
    return judgeRoom(directory, bavail * bsize);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    const hint = 'run `bladeroot init` on a new root, or name the directory with --state';
    return { check, level: 'failure', message: `there is no state directory ${directory}`, hint };
  }
}

/** @param free bytes */
export function judgeRoom(directory: string, free: number): Finding {
  const check = 'disk';
  const message = `${(free / 1e9).toFixed(1)} GB are free at ${directory}`;
  const hint = 'remove old snapshots (`bladeroot snapshot rm`) and run `bladeroot snapshot gc`';
  if (free < ROOM.failure) return { check, level: 'failure', message, hint };
  return free < ROOM.warning ? { check, level: 'warning', message, hint } : { check, level: 'ok', message };
}

/** @param room for how many machines the kernel keeps their MAC */
export function judgeNeighbours(blades: number, room: number): Finding {
  const check = 'neighbours';
  const message = `the kernel keeps the MACs of ${room} machines, the fleet has ${blades} blades`;
  const wanted = neighboursWanted(blades);
  if (room >= wanted) return { check, level: 'ok', message };
  const names = 'net.ipv4.neigh.default.gc_thresh';
  return {
    check,
    level: 'warning',
    message: `${message}: switched on together, those beyond get no answer`,
    hint: `serve raises it when it starts as root; otherwise: sysctl -w ${names}3=${2 * wanted} ${names}2=${wanted}`,
  };
}
