/** Has busybox udhcpc, which keeps the lease in the initrd (initrd/init.sh), give it back and ask anew. */
import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode } from '../errors.ts';
import { readIfThere } from '../system/read-file.ts';

const LOOK_EVERY_MS = 100;
/** It gives its address back at once. */
const GONE_WITHIN_MS = 5000;
/** Three rounds of its questions, with the pauses between them. */
const THERE_WITHIN_MS = 60_000;

/**
 * The address of a machine without a name is from the pool; once it is a blade, it has its own. The old one is given
 * back first, so that no connection begins with it and breaks.
 * @returns the address that it has then; undefined when there is none within a minute (udhcpc goes on asking), and when no
 *   udhcpc runs
 */
export async function renewAddress(pidFile = '/run/udhcpc.pid'): Promise<string | undefined> {
  const pid = Number(await readIfThere(pidFile));
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  try {
    // udhcpc(8): SIGUSR2 gives the lease back, SIGUSR1 asks for one.
    process.kill(pid, 'SIGUSR2');
    await until(() => ownAddress() === undefined, GONE_WITHIN_MS);
    process.kill(pid, 'SIGUSR1');
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return undefined;
    throw error;
  }
  await until(() => ownAddress() !== undefined, THERE_WITHIN_MS);
  return ownAddress();
}

/** There is one card with an address in the initrd, the one that it booted from. */
function ownAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
}

async function until(so: () => boolean, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!so() && performance.now() < deadline) await sleep(LOOK_EVERY_MS);
}
