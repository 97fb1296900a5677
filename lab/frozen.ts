/** The state of a machine in a file: QEMU's migration, to a file instead of another computer. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { BladerootError } from '../src/errors.ts';
import { qmpCommand } from './qmp.ts';

const migrationSchema = z.object({ status: z.string().optional(), 'error-desc': z.string().optional() });
const stateSchema = z.object({ status: z.string() });

/** Stops the machine, and writes its state. Its disk has all that it was given then. */
export async function freezeInto(qmpSocket: string, file: string): Promise<void> {
  await qmpCommand(qmpSocket, 'stop');
  // As fast as it goes: it is limited to what a network bears otherwise.
  await qmpCommand(qmpSocket, 'migrate-set-parameters', { 'max-bandwidth': 2 ** 40 });
  await qmpCommand(qmpSocket, 'migrate', { uri: `exec:cat > '${file}'` });
  for (;;) {
    const answer = migrationSchema.parse(await qmpCommand(qmpSocket, 'query-migrate'));
    if (answer.status === 'completed') return;
    if (answer.status === 'failed' || answer.status === 'cancelled') {
      throw new BladerootError(
        'QMP_FAILED',
        `QEMU did not write ${file}: ${answer['error-desc'] ?? answer.status}`,
      );
    }
    await sleep(LOOK_INTERVAL_MS);
  }
}

/** Waits until a machine that was started with such a state has all of it, and has it go on. */
export async function untilThawed(qmpSocket: string): Promise<void> {
  for (;;) {
    const { status } = stateSchema.parse(await qmpCommand(qmpSocket, 'query-status'));
    if (status === 'paused' || status === 'postmigrate' || status === 'prelaunch') break;
    if (status === 'running') return;
    await sleep(LOOK_INTERVAL_MS);
  }
  await qmpCommand(qmpSocket, 'cont');
}

const LOOK_INTERVAL_MS = 50;
