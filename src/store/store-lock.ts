/**
 * The lock of a store. Who makes things that nothing names yet, or reads things for longer than a moment, shares it; who
 * removes things has it alone. It is flock(2)'s, on a file: a process that is killed has it no more.
 */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { errorCode } from '../errors.ts';
import { tryLock } from '../system/posix.ts';

export type StoreLockKind = 'shared' | 'exclusive';

export interface StoreLockOptions {
  /** Ends the waiting. */
  signal?: AbortSignal | undefined;
  /** Called once, when somebody else has it. */
  onWait?: (() => void) | undefined;
}

/** What gives a lock back. */
export type Unlock = () => Promise<void>;

const RETRY_MS = 100;

/** Waits until it has the lock. @throws AbortError when `signal` is aborted meanwhile */
export async function lockStore(
  directory: string,
  kind: StoreLockKind,
  { signal, onWait }: StoreLockOptions = {},
): Promise<Unlock> {
  const file = await openLock(join(directory, 'lock'), kind);
  if (file === undefined) return async () => undefined;
  try {
    for (let waits = false; !tryLock(file.fd, kind); waits = true) {
      if (!waits) onWait?.();
      await wait(RETRY_MS, undefined, { signal });
    }
  } catch (error) {
    await file.close();
    throw error;
  }
  return async () => await file.close();
}

/** Undefined where one can only read and there is no lock: nobody has removed anything from there yet. */
async function openLock(path: string, kind: StoreLockKind): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDWR | constants.O_CREAT, 0o644);
  } catch (error) {
    const isReadOnly = ['EACCES', 'EPERM', 'EROFS'].includes(errorCode(error) ?? '');
    if (!isReadOnly || kind === 'exclusive') throw error;
  }
  try {
    return await open(path, constants.O_RDONLY);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    return undefined;
  }
}
