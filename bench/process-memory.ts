/** How much memory a process and all that it has started take together. */
import { readdirSync, readFileSync } from 'node:fs';
import { errorCode } from '../src/errors.ts';

const SAMPLE_EVERY_MS = 50;

export interface MemoryWatch {
  /** Bytes: the most that was seen at once so far. */
  readonly peakBytes: number;
  stop(): void;
}

/** Samples a process and its descendants every 50 ms until it is stopped. */
export function watchMemory(pid: number): MemoryWatch {
  let peakBytes = 0;
  const timer = setInterval(() => {
    peakBytes = Math.max(peakBytes, memoryOf(pid));
  }, SAMPLE_EVERY_MS);
  return {
    get peakBytes() {
      return peakBytes;
    },
    stop: () => clearInterval(timer),
  };
}

/**
 * Bytes of memory of a process and all its descendants: the proportional set size, in which a page that several share
 * is counted once (`Pss` in /proc/PID/smaps_rollup; Documentation/filesystems/proc.rst).
 */
export function memoryOf(pid: number): number {
  const kilobytes = /^Pss:\s+(\d+) kB$/m.exec(readProc(`/proc/${pid}/smaps_rollup`))?.[1] ?? '0';
  return childrenOf(pid).reduce((sum, child) => sum + memoryOf(child), Number(kilobytes) * 1024);
}

/** Each thread has its own list of the processes that it started. */
function childrenOf(pid: number): number[] {
  return threadsOf(pid)
    .flatMap((thread) => readProc(`/proc/${pid}/task/${thread}/children`).trim().split(' '))
    .filter((child) => child !== '')
    .map(Number);
}

function threadsOf(pid: number): string[] {
  return ifRunning(() => readdirSync(`/proc/${pid}/task`)) ?? [];
}

function readProc(path: string): string {
  return ifRunning(() => readFileSync(path, 'utf8')) ?? '';
}

/** Processes end while they are looked at. */
function ifRunning<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}
