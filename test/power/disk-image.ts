/**
 * A blade's disk as it lies there, looked at without the blade: which slot its boot loader would start, and whether all of
 * that is what its release says. For that it needs no emulated machine, and it takes a second.
 */
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { BootChoice } from '../../src/blade/grub/choice.ts';
import { readBladeState, type BladeState, type Slot } from '../../src/blade/state.ts';
import { verifyBlade } from '../../src/blade/verify-blade.ts';
import { errorCode } from '../../src/errors.ts';
import { PARTITIONS } from '../../src/fleet/layout.ts';
import { readPublicKey } from '../../src/release/keys.ts';
import { ReleaseRepository } from '../../src/release/repository.ts';
import { verifyStore } from '../../src/release/verify.ts';
import { sha256 } from '../../src/store/digest.ts';
import { Store } from '../../src/store/store.ts';
import { ProgramFailed, run } from '../../src/system/run.ts';
import { mendEsp, readEsp, wrongKernel, type Place, type SeenEsp } from './esp-image.ts';
import type { MadeDisk } from './replay.ts';

/** What would become of a blade with this disk at its next start from it. */
export interface SeenDisk {
  /** Undefined: the disk starts nothing yet, the firmware goes on to the network. */
  start: { slot: Slot; release: number; isTrial: boolean; wasGood: boolean } | undefined;
  choice: BootChoice;
  state: BladeState | undefined;
  /** What the blade is known by: the digest of each file that is kept on `persist`, by its path there. */
  kept: ReadonlyMap<string, string>;
  /** What is not as it should be, in words; empty when all is well. */
  wrong: string[];
}

/** Of which files on `persist` the content is looked at. */
const KEPT = ['kept', 'bladeroot/identity/machine-id', 'bladeroot/identity/age.key'];

export interface LookOptions {
  /** Whether everything in the blade's store is read, too: that of a blade whose work is done. */
  whole: boolean;
  /** Of many disks that are alike for the most part: what was found in slots, by what `alike` says of their place. */
  known?: { alike: MadeDisk['alike']; found: Map<string, string[]> };
}

/** @param image the file; it is written to, as journals are played back: give a copy */
export async function lookAtDisk(image: string, { whole, known }: LookOptions): Promise<SeenDisk> {
  const base = await mkdtemp(join(tmpdir(), 'bladeroot-power-'));
  try {
    const parts = await partitionsOf(image);
    return parts === undefined ? NOTHING : await new Look(image, parts, base, known).run(whole);
  } finally {
    await rm(base, { recursive: true });
  }
}

const NOTHING: SeenDisk = {
  start: undefined,
  choice: { good: undefined, trial: undefined },
  state: undefined,
  kept: new Map(),
  wrong: [],
};

const SECTOR = 512;
const tableSchema = z.object({
  partitiontable: z.object({
    partitions: z.array(z.object({ name: z.string().optional(), start: z.number(), size: z.number() })),
  }),
});

/** By their names; undefined where there is no partition table yet. */
async function partitionsOf(image: string): Promise<Map<string, Place> | undefined> {
  try {
    const { stdout } = await run('sfdisk', ['--json', image]);
    const { partitions } = tableSchema.parse(JSON.parse(stdout)).partitiontable;
    return new Map(
      partitions.map(({ name, start, size }) => [
        name ?? '',
        { start: start * SECTOR, bytes: size * SECTOR },
      ]),
    );
  } catch (error) {
    if (error instanceof ProgramFailed && /does not contain a recognized/.test(error.message))
      return undefined;
    throw error;
  }
}

class Look {
  readonly #image: string;
  readonly #parts: ReadonlyMap<string, Place>;
  readonly #base: string;
  readonly #known: LookOptions['known'];
  readonly #wrong: string[] = [];

  constructor(image: string, parts: ReadonlyMap<string, Place>, base: string, known: LookOptions['known']) {
    this.#known = known;
    this.#image = image;
    this.#parts = parts;
    this.#base = base;
  }

  async run(whole: boolean): Promise<SeenDisk> {
    const esp = await this.#esp('esp');
    const { slot, isTrial } = esp.start;
    const persist = await this.#mounted(PARTITIONS.persist, async (directory) => {
      const stateDirectory = join(directory, 'bladeroot');
      const state = await readBladeState(stateDirectory);
      const release = slot === undefined ? undefined : state?.slots[slot]?.release;
      if (slot !== undefined && release !== undefined)
        await this.#checkSlot(esp, slot, release, stateDirectory);
      if (whole && state !== undefined) await this.#checkStore(stateDirectory);
      return { state, release, kept: await keptFiles(directory) };
    });
    const { state, release, kept = new Map<string, string>() } = persist ?? {};
    if (slot !== undefined && release === undefined) {
      this.#wrong.push(`GRUB starts slot ${slot}, of which blade.json on persist says nothing`);
    }
    const wasGood = slot !== undefined && state?.slots[slot]?.good === true;
    return {
      start: slot === undefined || release === undefined ? undefined : { slot, release, isTrial, wasGood },
      choice: esp.choice,
      state,
      kept,
      wrong: this.#wrong,
    };
  }

  async #esp(directory: string): Promise<SeenEsp> {
    const esp = await readEsp(this.#image, this.#parts.get(PARTITIONS.esp), join(this.#base, directory));
    this.#wrong.push(...esp.wrong);
    return esp;
  }

  /** Its kernel too, before and after the file system that it lies on was mended. */
  async #checkSlot(esp: SeenEsp, slot: Slot, release: number, stateDirectory: string): Promise<void> {
    const releases = new ReleaseRepository(stateDirectory, await readPublicKey(stateDirectory));
    const { statement } = await releases.read(release);
    this.#wrong.push(...(await wrongKernel(esp, slot, statement)));
    await this.#device(PARTITIONS.esp, mendEsp);
    const mended = await this.#esp('mended');
    this.#wrong.push(...(await wrongKernel(mended, slot, statement)));
    if (!isDeepStrictEqual(mended.start, esp.start)) this.#wrong.push('fsck.vfat changes what is started');

    const place = this.#parts.get(PARTITIONS[slot]);
    const key = `${slot} ${release} ${place && this.#known?.alike(place.start, place.bytes)}`;
    const found = this.#known?.found.get(key) ?? (await this.#compareSlot(slot, release, stateDirectory));
    this.#known?.found.set(key, found);
    this.#wrong.push(...found);
  }

  /** @returns what is wrong with it */
  async #compareSlot(slot: Slot, release: number, stateDirectory: string): Promise<string[]> {
    const difference = await this.#mounted(PARTITIONS[slot], async (directory) => {
      const mountPoint = join(this.#base, 'verify');
      const { signal } = new AbortController();
      return (await verifyBlade({ stateDirectory, slot, directory, mountPoint, ignore: [], signal }))
        .difference;
    });
    if (difference === undefined) return [`slot ${slot} has no file system that is whole`];
    const { added, removed, changed } = difference;
    const differs = [...added, ...removed, ...changed.map(({ after }) => after)];
    if (differs.length === 0) return [];
    const paths = differs.slice(0, 10).map(({ path }) => path);
    return [`slot ${slot} is not release ${release}: ${differs.length} things differ: ${paths.join(', ')}`];
  }

  async #checkStore(stateDirectory: string): Promise<void> {
    const publicKey = await readPublicKey(stateDirectory);
    const store = await Store.openExisting(join(stateDirectory, 'store'));
    const releases = new ReleaseRepository(stateDirectory, publicKey);
    const { problems } = await verifyStore({ store, publicKey, releases });
    this.#wrong.push(...problems.map((problem) => `its store: ${JSON.stringify(problem)}`));
  }

  /** As a blade mounts it: its journal is played back first. Undefined where that cannot be done. */
  async #mounted<T>(name: string, look: (directory: string) => Promise<T>): Promise<T | undefined> {
    const directory = join(this.#base, name);
    return await this.#device(name, async (device) => {
      if (!(await isMended(device))) return undefined;
      await mkdir(directory, { recursive: true });
      await run('mount', ['-t', 'ext4', device, directory]);
      try {
        return await look(directory);
      } finally {
        await run('umount', [directory]);
      }
    });
  }

  /** A partition as a device; undefined where there is none of that name. */
  async #device<T>(name: string, work: (device: string) => Promise<T>): Promise<T | undefined> {
    const place = this.#parts.get(name);
    if (place === undefined) return undefined;
    const range = ['--offset', String(place.start), '--sizelimit', String(place.bytes)];
    const device = (await run('losetup', ['--find', '--show', ...range, this.#image])).stdout.trim();
    try {
      return await work(device);
    } finally {
      await run('losetup', ['--detach', device]);
    }
  }
}

/** After its journal there must be nothing to mend but what was open when the power went (e2fsck(8): 1). */
async function isMended(device: string): Promise<boolean> {
  try {
    await run('e2fsck', ['-f', '-p', device]);
    return true;
  } catch (error) {
    if (!(error instanceof ProgramFailed) || error.status === null) throw error;
    return error.status === 1;
  }
}

async function keptFiles(persist: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const path of KEPT) {
    try {
      found.set(path, sha256(await readFile(join(persist, path))));
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
    }
  }
  return found;
}
