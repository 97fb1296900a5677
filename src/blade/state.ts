/**
 * What a blade knows of itself: `blade.json` on its persistent partition, written by the agent when it has installed a
 * slot and by the running blade when that slot has proved good.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { BladerootError } from '../errors.ts';
import { writeFileAtomic } from '../system/write-file.ts';
import { readIfThere } from '../system/read-file.ts';

export const SLOTS = ['a', 'b'] as const;
export type Slot = (typeof SLOTS)[number];

// Loose: a blade that has fallen back reads what a newer program has written, and leaves in it what it does not know.
const slotSchema = z.looseObject({
  /** Sequence number of the release in it. */
  release: z.int().positive(),
  installed: z.iso.datetime(),
  /** Whether the blade came up with it, and was healthy. */
  good: z.boolean(),
  /** How often the agent has started it while it was not good. */
  starts: z.int().nonnegative().optional(),
});

const badReleaseSchema = z.looseObject({
  release: z.int().positive(),
  reason: z.string(),
  at: z.iso.datetime(),
});

const bladeStateSchema = z.looseObject({
  name: z.string(),
  /** Base URLs of the roots that this blade has been deployed by, the last one first. */
  roots: z.array(z.url()),
  /** The newest release by which this blade was told what to run: it may have pinned it to an older one. */
  newest: z.int().positive().optional(),
  /** Only slots that were installed whole. */
  slots: z.partialRecord(z.enum(SLOTS), slotSchema),
  /** The release that was last unpacked into memory, of a blade that has its root filesystem there. */
  inMemory: z.int().positive().optional(),
  /** Releases with which this blade did not become healthy: it does not install them again by itself. */
  bad: z.array(badReleaseSchema).optional(),
});

export type BladeState = z.infer<typeof bladeStateSchema>;
export type BadRelease = z.infer<typeof badReleaseSchema>;

const FILE = 'blade.json';

/** Undefined on a blade that has never been installed. @throws BladerootError `BLADE_STATE` */
export async function readBladeState(stateDirectory: string): Promise<BladeState | undefined> {
  const path = join(stateDirectory, FILE);
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  try {
    return bladeStateSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new BladerootError('BLADE_STATE', `${path} is damaged`, {
      hint: 'remove it; the blade is then deployed again at its next boot from the network',
      cause: error,
    });
  }
}

export async function writeBladeState(stateDirectory: string, state: BladeState): Promise<void> {
  await mkdir(stateDirectory, { recursive: true });
  await writeFileAtomic(join(stateDirectory, FILE), `${JSON.stringify(state, null, 2)}\n`);
}

/** The slot that holds this release whole, if one does; of two the later: the blade was deployed again, for a reason. */
export function slotWith(state: BladeState | undefined, release: number): Slot | undefined {
  const { a, b } = state?.slots ?? {};
  if (a?.release === release && b?.release === release) return a.installed > b.installed ? 'a' : 'b';
  return SLOTS.find((slot) => state?.slots[slot]?.release === release);
}

/** The slot to install into: never the one that is known to be good while the other is not. */
export function freeSlot(state: BladeState | undefined): Slot {
  const { a, b } = state?.slots ?? {};
  if (a === undefined) return 'a';
  if (b === undefined) return 'b';
  if (a.good !== b.good) return a.good ? 'b' : 'a';
  if (a.release !== b.release) return a.release < b.release ? 'a' : 'b';
  return a.installed < b.installed ? 'a' : 'b';
}

/**
 * A root that was away for a while may still serve what the fleet has left behind.
 * @throws BladerootError `RELEASE_OLDER`
 */
export function requireNotOlder(state: BladeState | undefined, sequence: number, root: string): void {
  const newest = Math.max(
    state?.newest ?? 0,
    ...Object.values(state?.slots ?? {}).map((slot) => slot.release),
  );
  if (sequence >= newest) return;
  const message = `${root} has release ${sequence}, and this blade has had ${newest}`;
  throw new BladerootError('RELEASE_OLDER', message, {
    hint: `stop that root, or bring release ${newest} to it; the blade's own disk starts what it has`,
  });
}
