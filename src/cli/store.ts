/** The store of a state directory, as the commands use it. */
import { join } from 'node:path';
import type { StoreLockKind } from '../store/store-lock.ts';
import { Store } from '../store/store.ts';
import type { Context } from './command.ts';

/** For who writes: it is made where it is missing. */
export async function openStore({ stateDirectory }: Context): Promise<Store> {
  return await Store.open(join(stateDirectory, 'store'));
}

/** For who only reads. @throws BladerootError `NO_STORE` */
export async function readStore({ stateDirectory }: Context): Promise<Store> {
  return await Store.openExisting(join(stateDirectory, 'store'));
}

/** Does something while it has the store's lock, and says so where it has to wait for it. */
export async function locked<T>(
  { output, signal }: Context,
  store: Store,
  kind: StoreLockKind,
  work: () => Promise<T>,
): Promise<T> {
  const others =
    kind === 'shared' ? 'a command that removes things from' : 'the commands that are at work in';
  const onWait = (): void => output.step(`waiting for ${others} ${store.directory}`);
  const unlock = await store.lock(kind, { signal, onWait });
  try {
    return await work();
  } finally {
    await unlock();
  }
}
