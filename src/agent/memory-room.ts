/** Whether an image has room in a machine's memory. Pure: facts in, sizes out. */
import { BladerootError } from '../errors.ts';
import type { SnapshotStatement } from '../image/statement.ts';
import type { Layer } from '../store/pack-index.ts';

const MiB = 1024 ** 2;

/**
 * What is left for the agent while it unpacks, and for services to begin with: the agent is gone then, and the initrd
 * with it.
 */
const TO_RUN_BYTES = 256 * MiB;

/** What a file takes beside its data: half of its last page, the kernel's records of it and of its name. */
const ENTRY_BYTES = 4096;

/**
 * How large the root filesystem in memory may become: the image, and half of what is left beside it, so that what blades
 * write does not take the memory of their services.
 * @param availableBytes that the kernel has to give (MemAvailable), `totalBytes` of which the machine has
 * @throws BladerootError `NOT_ENOUGH_MEMORY` that says how much is lacking
 */
export function memoryRoom(
  { layers }: Pick<SnapshotStatement, 'layers'>,
  wanted: readonly Layer[],
  { availableBytes, totalBytes }: { availableBytes: number; totalBytes: number },
): number {
  const imageBytes = layers
    .filter(({ name }) => wanted.includes(name))
    .reduce((sum, { bytes, entries }) => sum + bytes + entries * ENTRY_BYTES, 0);
  const left = availableBytes - imageBytes;
  if (left >= TO_RUN_BYTES) return imageBytes + Math.floor(left / 2);
  const lacking = TO_RUN_BYTES - left;
  throw new BladerootError(
    'NOT_ENOUGH_MEMORY',
    `the image takes ${mebibytes(imageBytes)} of memory, and what runs takes ${mebibytes(TO_RUN_BYTES)}; of its ` +
      `${mebibytes(totalBytes)} this machine has ${mebibytes(availableBytes)} to give: ${mebibytes(lacking)} are lacking`,
    {
      hint: 'give it more memory, make the tree smaller, or take `root: ram` from the blade if it has a disk',
    },
  );
}

/** Rounded up, so that what is lacking is never said to be nothing. */
function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / MiB)} MiB`;
}
