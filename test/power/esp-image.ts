/** The ESP in the image of a disk: its files as GRUB would read them, taken out without mounting it. */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nextStart, type BootChoice, type Start } from '../../src/blade/grub/choice.ts';
import { slotDirectory } from '../../src/blade/grub/config.ts';
import { readChoice, startableSlots } from '../../src/blade/grub/esp.ts';
import type { Slot } from '../../src/blade/state.ts';
import type { ReleaseStatement } from '../../src/release/statement.ts';
import { sha256 } from '../../src/store/digest.ts';
import { ProgramFailed, run } from '../../src/system/run.ts';

/** Where a partition lies, in bytes. */
export interface Place {
  start: number;
  bytes: number;
}

export interface SeenEsp {
  directory: string;
  choice: BootChoice;
  start: Start;
  wrong: string[];
}

/** @param place undefined where there is no such partition yet  @param directory not there yet */
export async function readEsp(image: string, place: Place | undefined, directory: string): Promise<SeenEsp> {
  await mkdir(directory);
  const wrong = place === undefined ? [] : await copyFiles(`${image}@@${place.start}`, directory);
  const choice = await readChoice(directory);
  return { directory, choice, start: nextStart(choice, await startableSlots(directory)), wrong };
}

/** @returns what is wrong */
async function copyFiles(esp: string, directory: string): Promise<string[]> {
  try {
    const { stdout } = await run('mdir', ['-b', '-i', esp, '::']);
    if (stdout.trim() === '') return [];
  } catch (error) {
    // There is no file system yet.
    if (error instanceof ProgramFailed) return [];
    throw error;
  }
  try {
    await run('mcopy', ['-s', '-n', '-i', esp, '::*', directory]);
    return [];
  } catch (error) {
    if (!(error instanceof ProgramFailed)) throw error;
    return [`the ESP cannot be read: ${error.message}`];
  }
}

/** Has fsck.vfat(8) mend it, as blades do before they mount it. @param device it, as a device of its own */
export async function mendEsp(device: string): Promise<void> {
  try {
    await run('fsck.vfat', ['-a', device]);
  } catch (error) {
    // 1: there was something, and it is mended.
    if (!(error instanceof ProgramFailed) || error.status !== 1) throw error;
  }
}

/** @returns what of the kernel and the initrd of a slot is not that of its release */
export async function wrongKernel(
  { directory }: SeenEsp,
  slot: Slot,
  { kernel, initrd, sequence }: ReleaseStatement,
): Promise<string[]> {
  const wrong: string[] = [];
  for (const [name, { digest }] of [
    ['vmlinuz', kernel],
    ['initrd', initrd],
  ] as const) {
    const there = await readFile(join(directory, slotDirectory(slot), name)).catch(() => undefined);
    if (there === undefined || sha256(there) !== digest) {
      wrong.push(`${name} of slot ${slot} is not that of release ${sequence}`);
    }
  }
  return wrong;
}
