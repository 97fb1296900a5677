/** The update of the blade that this runs on: its own disk, boot loader and roots. */
import { describeError } from '../errors.ts';
import type { UpdateReport } from '../events/catalogue.ts';
import { bootAreas, ownMirror } from './boot-areas.ts';
import { partitionsBeside, slotDevices } from './disk-of.ts';
import { bootId, sendReport } from './report.ts';
import { runningSlot } from './standby.ts';
import { readBladeState } from './state.ts';
import { updateBlade, type UpdateOptions, type UpdateResult, type UpdateState } from './update.ts';

const MOUNT_POINT = '/run/bladeroot/slot';

type Request = Pick<UpdateOptions, 'stateDirectory' | 'port' | 'deploy' | 'signal' | 'onStep'>;

/** @throws as updateBlade, and BladerootError `NOT_A_BLADE` */
export async function updateThisBlade(request: Request): Promise<UpdateResult> {
  const running = await runningSlot();
  const { stateDirectory, onStep } = request;
  const blade = (await readBladeState(stateDirectory))?.name ?? '';
  return await updateBlade({
    ...request,
    running,
    runningDirectory: '/',
    devices: await slotDevices('/'),
    partitions: await partitionsBeside('/'),
    mountPoint: MOUNT_POINT,
    mirror: (await ownMirror())?.uuid,
    esp: await bootAreas(onStep),
    onState: async (state) => {
      onStep(state.message);
      await tell(blade, state).catch((error: unknown) => onStep(`not told: ${describeError(error)}`));
    },
  });
}

/** Whoever of the roots hears it first. */
async function tell(blade: string, { state, release, slot, roots, message }: UpdateState): Promise<void> {
  const said: UpdateReport = {
    type: 'blade.update',
    blade,
    boot: await bootId(),
    state,
    release,
    slot,
    message: message.slice(0, 2000),
  };
  await Promise.any(roots.map(async (root) => await sendReport(root, said))).catch((error: unknown) => {
    throw error instanceof AggregateError ? error.errors[0] : error;
  });
}
