/**
 * A blade's disk as it lies there, looked at without the blade: which slot its boot loader would start, and whether all of
 * that is what its release says. For that it needs no emulated machine, and it takes a second.
 */
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { nextStart, type BootChoice } from '../../src/blade/grub/choice.ts';
import { slotDirectory } from '../../src/blade/grub/config.ts';
import { readChoice, startableSlots } from '../../src/blade/grub/esp.ts';
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
import { readIfThere } from '../../src/system/read-file.ts';

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

/**
 * @param image the file; it is written to, as journals are played back: give a copy
 * @param whole whether everything in the blade's store is read, too: that of a blade whose work is done
 */
export async function lookAtDisk(image: string, { whole }: { whole: boolean }): Promise<SeenDisk> {
  const base = await mkdtemp(join(tmpdir(), 'bladeroot-power-'));
  try {
    const parts = await partitionsOf(image);
    return parts === undefined ? NOTHING : await new Look(image, parts, base).run(whole);
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

interface Place {
  start: number;
  bytes: number;
}

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
  readonly #wrong: string[] = [];

  constructor(image: string, parts: ReadonlyMap<string, Place>, base: string) {
    this.#image = image;
    this.#parts = parts;
    this.#base = base;
  }

  async run(whole: boolean): Promise<SeenDisk> {
    const esp = await this.#esp();
    const choice = await readChoice(esp);
    const { slot, isTrial } = nextStart(choice, await startableSlots(esp));
    const persist = await this.#mounted(PARTITIONS.persist, async (directory) => {
      const stateDirectory = join(directory, 'bladeroot');
      const state = await readBladeState(stateDirectory);
      const release = slot === undefined ? undefined : state?.slots[slot]?.release;
      if (slot !== undefined && release === undefined)
        this.#wrong.push(`GRUB starts slot ${slot}, of which blade.json says nothing`);
      if (slot !== undefined && release !== undefined)
        await this.#checkSlot({ slot, release, stateDirectory, esp });
      if (whole) await this.#checkStore(stateDirectory);
      return { state, release, kept: await keptFiles(directory) };
    });
    if (slot !== undefined && persist === undefined)
      this.#wrong.push('GRUB starts a slot, and persist cannot be mounted');
    const { state, release, kept = new Map<string, string>() } = persist ?? {};
    const wasGood = slot !== undefined && state?.slots[slot]?.good === true;
    return {
      start: slot === undefined || release === undefined ? undefined : { slot, release, isTrial, wasGood },
      choice,
      state,
      kept,
      wrong: this.#wrong,
    };
  }

  /** The files of the ESP, which this kernel need not be able to mount. */
  async #esp(): Promise<string> {
    const directory = join(this.#base, 'esp');
    await mkdir(directory);
    const place = this.#parts.get(PARTITIONS.esp);
    if (place === undefined) return directory;
    const esp = `${this.#image}@@${place.start}`;
    const listed = await run('mdir', ['-b', '-i', esp, '::']).catch((error: unknown) => {
      // There is no file system yet.
      if (error instanceof ProgramFailed) return undefined;
      throw error;
    });
    if ((listed?.stdout.trim() ?? '') === '') return directory;
    await run('mcopy', ['-s', '-n', '-i', esp, '::*', directory]).catch((error: unknown) => {
      if (!(error instanceof ProgramFailed)) throw error;
      this.#wrong.push(`the ESP cannot be read: ${error.message}`);
    });
    return directory;
  }

  async #checkSlot({
    slot,
    release,
    stateDirectory,
    esp,
  }: {
    slot: Slot;
    release: number;
    stateDirectory: string;
    esp: string;
  }): Promise<void> {
    const releases = new ReleaseRepository(stateDirectory, await readPublicKey(stateDirectory));
    const { statement } = await releases.read(release);
    for (const [name, { digest }] of [
      ['vmlinuz', statement.kernel],
      ['initrd', statement.initrd],
    ] as const) {
      const bytes = await readIfThere(join(esp, slotDirectory(slot), name));
      const found = sha256(await readFile(join(esp, slotDirectory(slot), name)).catch(() => Buffer.of()));
      if (bytes === undefined || found !== digest)
        this.#wrong.push(`${name} of slot ${slot} is not that of release ${release}`);
    }
    const found = await this.#mounted(PARTITIONS[slot], async (directory) => {
      const mountPoint = join(this.#base, 'verify');
      const signal = new AbortController().signal;
      const { difference } = await verifyBlade({
        stateDirectory,
        slot,
        directory,
        mountPoint,
        ignore: [],
        signal,
      });
      return difference;
    });
    if (found === undefined) this.#wrong.push(`slot ${slot} has no file system that is whole`);
    const differs =
      found === undefined
        ? []
        : [...found.added, ...found.removed, ...found.changed.map(({ after }) => after)];
    if (differs.length > 0) {
      const paths = differs.slice(0, 10).map(({ path }) => path);
      this.#wrong.push(
        `slot ${slot} is not release ${release}: ${differs.length} things differ: ${paths.join(', ')}`,
      );
    }
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
    const place = this.#parts.get(name);
    if (place === undefined) return undefined;
    const range = ['--offset', String(place.start), '--sizelimit', String(place.bytes)];
    const device = (await run('losetup', ['--find', '--show', ...range, this.#image])).stdout.trim();
    const directory = join(this.#base, name);
    try {
      if (!(await isMended(device))) return undefined;
      await mkdir(directory, { recursive: true });
      await run('mount', ['-t', 'ext4', device, directory]);
      try {
        return await look(directory);
      } finally {
        await run('umount', [directory]);
      }
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
