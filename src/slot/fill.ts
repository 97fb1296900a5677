/** Brings a slot to the image of a release: what is in it and is right stays. */
import { BladerootError, describeError, errorCode } from '../errors.ts';
import { checkImage, fetchImage, type FetchRequest } from './fetch-image.ts';
import { isWholeExt4, makeExt4 } from './file-system.ts';
import { mountOnce, unmountIfMounted } from './mounts.ts';

export interface FillRequest extends FetchRequest {
  /** The slot's partition, and the label of its file system. */
  device: string;
  label: string;
  /** Makes the file system anew, whatever is there: somebody does not trust it. */
  fresh: boolean;
  /** What is being done, in words. */
  say(what: string): void;
}

/** How often what was read back from the disk is mended before the disk is given up. */
const MENDS = 2;

/** When a slot fails like this, its file system is not what it should be, and is made anew. */
const SLOT_FAILURES = new Set(['UNPACK_FAILED', 'SLOT_DAMAGED', 'PROGRAM_FAILED']);

/**
 * Mounts the slot at `directory` and brings it to the image. A file system that is whole is kept: only what differs is
 * written, and then all of it is read back from the disk and hashed. One that is not, or that fails meanwhile, is made
 * anew; what is in it then all comes from pieces that were checked.
 * @throws BladerootError as fetchImage does, and `SLOT_DAMAGED` when the disk does not keep what is written to it
 */
export async function fillSlot(request: FillRequest): Promise<void> {
  const { device, directory, label, signal, say } = request;
  await unmountIfMounted(directory);
  if (!request.fresh && (await isWholeExt4(device, signal))) {
    try {
      await bringUpToDate(request);
      return;
    } catch (error) {
      signal?.throwIfAborted();
      if (!SLOT_FAILURES.has(errorCode(error) ?? '')) throw error;
      say(`${device} cannot be updated, and is made anew: ${describeError(error)}`);
    }
  }
  await unmountIfMounted(directory);
  await makeExt4(device, label);
  await mountOnce(device, directory);
  await fetchImage(request);
}

async function bringUpToDate(request: FillRequest): Promise<void> {
  const { device, directory, say } = request;
  await mountOnce(device, directory);
  await fetchImage(request);
  for (let mends = 0; mends <= MENDS; mends++) {
    // Unmounted and mounted, what is read comes from the disk, not from memory.
    await mountOnce(device, directory);
    say('reading the slot back from the disk');
    const { made, changed, removedFrom } = await checkImage(request);
    if (made + changed + removedFrom === 0) return;
  }
  throw new BladerootError('SLOT_DAMAGED', `${device} does not keep what is written to it`, {
    hint: 'look at `dmesg` for errors of the disk, and replace it',
  });
}
