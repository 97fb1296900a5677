/**
 * Slots as GRUB has them on the ESP. FAT has no journal, so what may fail at any moment is arranged so that it cannot hurt:
 *
 * - GRUB's environment block is overwritten in place, as GRUB does it: its variables stand in one sector, which a disk
 *   writes whole or not at all; no name, no size and no cluster of the file changes.
 * - Kernel and initrd are only written where nothing starts them: `withdrawSlot` comes first, `boot.cfg` last, and all of
 *   them are on the disk before the environment block names the slot.
 * - Of a mirror, whose disks have an ESP each, every step is done on both before the next: GRUB, which reads and counts on
 *   the one that the firmware started it from, finds what it finds after a power cut, with either of them.
 */
import { copyFile, mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { BladerootError, errorCode } from '../../errors.ts';
import type { Blob, ReleaseStatement } from '../../release/statement.ts';
import { sha256 } from '../../store/digest.ts';
import type { Store } from '../../store/store.ts';
import { run } from '../../system/run.ts';
import { readIfThere } from '../../system/read-file.ts';
import { writeFileAtomic } from '../../system/write-file.ts';
import { SLOTS, type Slot } from '../state.ts';
import {
  both,
  choiceOf,
  NO_CHOICE,
  proven,
  trying,
  variablesOf,
  withdrawn,
  type BootChoice,
} from './choice.ts';
import { ENVIRONMENT_FILE, GOOD_FILE, slotConfig, slotConfigFile, slotDirectory } from './config.ts';
import { decodeEnvironment, encodeEnvironment, ENVIRONMENT_BYTES } from './environment.ts';

/** Where the ESP is mounted, or both of a mirror. */
export type Esps = string | readonly string[];

/** What GRUB would read: of the two blocks, the one that it writes counts, as far as it can be read. */
export async function readChoice(esp: Esps): Promise<BootChoice> {
  const found = await Promise.all(
    [esp].flat().map(async (one) => {
      const kept = await readBlock(join(one, GOOD_FILE));
      return (await readBlock(join(one, ENVIRONMENT_FILE))) ?? kept ?? NO_CHOICE;
    }),
  );
  return found.reduce(both);
}

/** The slots that GRUB can start, from whichever ESP. */
export async function startableSlots(esp: Esps): Promise<Slot[]> {
  const configs = await Promise.all(
    SLOTS.map(async (slot) => {
      const found = [esp].flat().map((one) => readIfThere(join(one, slotConfigFile(slot))));
      return (await Promise.all(found)).map((config) => config ?? '');
    }),
  );
  return SLOTS.filter((_, index) => configs[index]?.includes('') === false);
}

/**
 * Has the next start try a slot, twice at most. To be called when the slot is whole on the disk and `placeKernel` is done.
 * @throws BladerootError `SLOT_NOT_STARTABLE`
 */
export async function tryNext(esp: Esps, slot: Slot): Promise<void> {
  if (!(await startableSlots(esp)).includes(slot)) {
    throw new BladerootError(
      'SLOT_NOT_STARTABLE',
      `slot ${slot} has no kernel on ${[esp].flat().join(', ')}`,
    );
  }
  await writeChoice(esp, trying(await readChoice(esp), slot));
}

/** From now on this slot is started. To be written down in blade.json afterwards, not before. */
export async function markGood(esp: Esps, slot: Slot): Promise<void> {
  await writeChoice(esp, proven(slot));
}

/**
 * Nothing starts this slot any more. To be called before anything of it is written.
 * @param other the slot that is started instead, where it holds a release that has proved good
 * @param forget has blade.json say nothing of the slot any more: a slot that stands there as good is one that GRUB can start
 */
export async function withdrawSlot(
  esp: Esps,
  slot: Slot,
  other: Slot | undefined,
  forget: () => Promise<void>,
): Promise<void> {
  const { good = other, trial } = withdrawn(await readChoice(esp), slot);
  await writeChoice(esp, { good, trial });
  await forget();
  for (const one of [esp].flat()) {
    await rm(join(one, slotConfigFile(slot)), { force: true });
    await syncAll(one);
  }
}

/** What GRUB finds at its next start; what stands there already is not written again. */
export async function writeChoice(esp: Esps, choice: BootChoice): Promise<void> {
  for (const one of [esp].flat()) {
    const kept = await readBlock(join(one, GOOD_FILE));
    if (kept === undefined || kept.good !== choice.good) {
      await writeBlock(join(one, GOOD_FILE), { good: choice.good, trial: undefined });
    }
    const there = await readBlock(join(one, ENVIRONMENT_FILE));
    if (!isDeepStrictEqual(there, choice)) await writeBlock(join(one, ENVIRONMENT_FILE), choice);
  }
}

export interface SlotKernel {
  esp: Esps;
  store: Store;
  slot: Slot;
  /** The release that the slot holds. */
  release: Pick<ReleaseStatement, 'kernel' | 'initrd'>;
  kernelArgs: readonly string[];
  /** The PARTUUID of the slot; undefined where nobody knows it. */
  partition: string | undefined;
  /** The UUID of the mirror that has it, where one has. */
  mirror?: string | undefined;
}

/**
 * Puts kernel and initrd of a slot on the ESP; what is right already is not written again.
 * @throws BladerootError `BLOB_DAMAGED`
 */
export async function placeKernel(request: SlotKernel): Promise<void> {
  for (const esp of [request.esp].flat()) await placeOn(esp, request);
}

async function placeOn(esp: string, request: SlotKernel): Promise<void> {
  const { store, slot, release, kernelArgs, partition, mirror } = request;
  const files = [
    [release.kernel, join(esp, slotDirectory(slot), 'vmlinuz')],
    [release.initrd, join(esp, slotDirectory(slot), 'initrd')],
  ] as const;
  const configPath = join(esp, slotConfigFile(slot));
  const config = slotConfig({ slot, partition, mirror, kernelArgs });
  const wrong: (typeof files)[number][] = [];
  for (const file of files) if (!(await holds(file[1], file[0]))) wrong.push(file);
  if (wrong.length > 0) {
    await mkdir(dirname(configPath), { recursive: true });
    await rm(configPath, { force: true });
    await syncAll(esp);
    for (const [blob, path] of wrong) await placeBlob(store, blob, path);
    await syncAll(esp);
  }
  if ((await readIfThere(configPath)) === config) return;
  await writeFileAtomic(configPath, config);
  await syncAll(esp);
}

async function placeBlob(store: Store, blob: Blob, path: string): Promise<void> {
  await copyFile(store.blobPath(blob.digest), path);
  if (!(await holds(path, blob))) {
    throw new BladerootError('BLOB_DAMAGED', `blob ${blob.digest} in ${store.directory} is damaged`, {
      hint: 'remove it and blade.json, then boot from the network: the blade is deployed again',
    });
  }
}

async function holds(path: string, blob: Blob): Promise<boolean> {
  const there = await stat(path).catch(() => undefined);
  return there?.size === blob.bytes && sha256(await readFile(path)) === blob.digest;
}

async function readBlock(path: string): Promise<BootChoice | undefined> {
  const block = await readFile(path).catch((error: unknown) => {
    // Also what FAT makes of a damaged directory counts as not there: it is written anew.
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'EIO') return undefined;
    throw error;
  });
  const variables = block && decodeEnvironment(block);
  return variables && choiceOf(variables);
}

/** In place where the block has its length; a new one is written aside. */
async function writeBlock(path: string, choice: BootChoice): Promise<void> {
  const block = encodeEnvironment(variablesOf(choice));
  const there = await stat(path).catch(() => undefined);
  if (there?.size !== ENVIRONMENT_BYTES) {
    await mkdir(dirname(path), { recursive: true });
    await writeFileAtomic(path, block);
    return;
  }
  const file = await open(path, 'r+');
  try {
    await file.write(block, 0, block.length, 0);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncAll(esp: string): Promise<void> {
  await run('sync', ['-f', esp]);
}
