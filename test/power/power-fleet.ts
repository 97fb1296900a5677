/** One blade whose disk loses what was not flushed, a root, two releases, and states of the machine that trials begin in. */
import { chmod, copyFile, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NETWORK, SAME_ADDRESSES } from '../../lab/demo/fleet-folder.ts';
import type { Machine } from '../../lab/machine.ts';
import type { RecordedEvent } from '../../src/events/catalogue.ts';
import { DATABASE } from '../../src/state/database.ts';
import { exists } from '../../src/system/read-file.ts';
import { run } from '../../src/system/run.ts';
import { CACHE, LabFleet, type LabBlade, type Up } from '../lab-fleet.fixture.ts';
import { lookAtDisk, type SeenDisk } from './disk-image.ts';
import { randomFrom } from './random.ts';
import { smallTree } from './small-tree.ts';

export const BLADE: LabBlade = { name: 'power01', mac: '52:54:00:77:05:01', address: '10.77.0.51' };

const TREE = 'small';
const DISK_BYTES = 4 * 1024 ** 3;
const SAID_WITHIN_MS = 2 * 60_000;
const NOTES = 300;
const LARGE_BYTES = 12 * 1024 ** 2;

export class PowerFleet {
  readonly fleet: LabFleet;
  readonly machine: Machine;
  #said = 0;

  private constructor(fleet: LabFleet) {
    this.fleet = fleet;
    this.machine = fleet.lab.machine(BLADE.name);
  }

  /**
   * A root that serves release 1; or, where an earlier run is gone on with, one with all that it had.
   * @param name of the lab's folder
   */
  static async create(name: string, { goOn }: { goOn: boolean }): Promise<PowerFleet> {
    const machine = { diskCache: 'volatile', diskBytes: DISK_BYTES } as const;
    const fleet = await LabFleet.create({ name, network: NETWORK, blades: [BLADE], machine, goOn });
    const power = new PowerFleet(fleet);
    try {
      if (!goOn) {
        await fleet.write({ 'fleet.yaml': fleetYaml(1) });
        await fleet.bladeroot('tree', 'create', TREE, '--from', await smallTree(CACHE));
        await power.#publish(1);
      }
      await fleet.startRoot();
      return power;
    } catch (error) {
      await fleet.down();
      throw error;
    }
  }

  async down(): Promise<void> {
    await this.fleet.down();
  }

  /** The second release differs in files large and small, in kinds of things, in the initrd and the kernel's arguments. */
  async publishSecond(): Promise<void> {
    await this.fleet.write({ 'fleet.yaml': fleetYaml(2) });
    await this.#publish(2);
  }

  async #publish(release: number): Promise<void> {
    await writeRelease(join(this.fleet.place.state, 'trees', TREE), release);
    await this.fleet.bladeroot('snapshot', 'pack', TREE);
    await this.fleet.bladeroot('release', 'publish', '--snapshot', TREE, '-m', `release ${release}`);
  }

  /** Keeps the machine as it is at this moment, and what the root knows of it, under a name; and switches it off. */
  async freeze(name: string): Promise<void> {
    await this.machine.freeze(this.file(`${name}.memory`));
    await this.#copy(this.machine.files.disk, this.file(`${name}.disk`));
    await this.fleet.stopRoot();
    await this.#copyDatabase(this.#database, this.file(`${name}.db`));
    await this.fleet.startRoot();
  }

  /** Has it all go on as it was then. */
  async thaw(name: string): Promise<void> {
    await this.fleet.stopRoot();
    await this.#copyDatabase(this.file(`${name}.db`), this.#database);
    await this.fleet.startRoot();
    await this.#copy(this.file(`${name}.disk`), this.machine.files.disk);
    await this.machine.thaw(this.file(`${name}.memory`));
  }

  /** The machine is off: what its disk holds. */
  async look(options: { whole: boolean }): Promise<SeenDisk> {
    const copy = this.file('looked-at.disk');
    await this.#copy(this.machine.files.disk, copy);
    try {
      return await lookAtDisk(copy, options);
    } finally {
      await rm(copy);
    }
  }

  /** Waits for what the blade, which runs, tells next that is meant. */
  async told(isMeant: (event: RecordedEvent) => boolean): Promise<RecordedEvent> {
    return await this.fleet.told(
      BLADE,
      (event): event is RecordedEvent => isMeant(event),
      async () => undefined,
    );
  }

  /** Has the shell on the console do something, and waits until it has. */
  async say(command: string): Promise<void> {
    const done = `done-${this.#said++}`;
    // The line itself is not to be taken for what it prints.
    const { size } = await stat(this.machine.files.console);
    await this.machine.type(`${command}; echo "${done.slice(0, 2)}""${done.slice(2)}."\n`);
    await this.machine.waitForConsole(new RegExp(`${done}\\.`), { timeoutMs: SAID_WITHIN_MS, from: size });
  }

  /** Hears all that the root tells. @returns what ends that */
  onEvent(listener: (event: RecordedEvent) => void): () => void {
    return this.fleet.onEvent(listener);
  }

  async up(start: (machine: Machine) => Promise<void>): Promise<Up> {
    return await this.fleet.up(BLADE, start);
  }

  get #database(): string {
    return join(this.fleet.place.state, DATABASE);
  }

  /** A path in the lab's folder. */
  file(name: string): string {
    return join(this.fleet.directory, name);
  }

  /** With what SQLite has not put into it yet; of a root that does not run. */
  async #copyDatabase(from: string, to: string): Promise<void> {
    await rm(`${to}-shm`, { force: true });
    for (const part of ['', '-wal']) {
      await rm(to + part, { force: true });
      if (await exists(from + part)) await this.#copy(from + part, to + part);
    }
  }

  /** Most of a disk is holes. */
  async #copy(from: string, to: string): Promise<void> {
    await rm(to, { force: true });
    await run('cp', ['--preserve=mode,ownership', '--reflink=auto', from, to]);
  }
}

function fleetYaml(release: number): string {
  return `name: power
network:
  subnet: ${NETWORK.subnet}
defaults:
  kernelArgs: [quiet, "console=ttyS0,115200", ${SAME_ADDRESSES}, mitigations=off, trial=${release}]
blades:
  ${BLADE.name}: { mac: "${BLADE.mac}", address: ${BLADE.address} }
`;
}

/** The same bytes for the same release in every run. */
async function writeRelease(tree: string, release: number): Promise<void> {
  const directory = join(tree, 'usr/lib/trial');
  await rm(directory, { recursive: true, force: true });
  await mkdir(join(directory, 'notes'), { recursive: true });
  for (let i = 0; i < NOTES; i++) {
    // A third is new in each release, some go, some come.
    const of = i % 3 === 0 ? release : 0;
    if ((i + release) % 10 === 9) continue;
    await writeFile(join(directory, 'notes', `${i}`), noise(of * NOTES + i, 200 + ((i * 97) % 9000)));
  }
  const large = noise(1, LARGE_BYTES);
  // In its middle, so that what is before and behind is the same.
  large.set(noise(100 + release, 2 * 1024 ** 2), 4 * 1024 ** 2);
  await writeFile(join(directory, 'large'), large);
  const notes = join(directory, 'notes');
  if (release === 1) await copyFile(join(notes, '1'), join(directory, 'kind'));
  else await mkdir(join(directory, 'kind'));
  await chmod(join(notes, '2'), release === 1 ? 0o644 : 0o600);
  // It is in the initrd.
  const mke2fs = join(tree, 'etc/mke2fs.conf');
  const text = (await readFile(mke2fs, 'utf8')).replace(/^# trial.*\n/m, '');
  await writeFile(mke2fs, `# trial: release ${release}\n${text}`);
}

function noise(seed: number, bytes: number): Uint8Array {
  const random = randomFrom(seed);
  return Uint8Array.from({ length: bytes }, () => random() * 256);
}
