/** One blade whose disk loses what was not flushed, a root, two releases, and states of the machine that trials begin in. */
import { chmod, copyFile, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NETWORK } from '../../lab/demo/fleet-folder.ts';
import type { Machine } from '../../lab/machine.ts';
import type { RecordedEvent } from '../../src/events/catalogue.ts';
import { run } from '../../src/system/run.ts';
import { CACHE, LabFleet, SAME_ADDRESSES, type LabBlade, type Up } from '../lab-fleet.fixture.ts';
import { lookAtDisk, type SeenDisk } from './disk-image.ts';
import { randomFrom } from './random.ts';
import { smallTree } from './small-tree.ts';

export const BLADE: LabBlade = { name: 'power01', mac: '52:54:00:77:05:01', address: '10.77.0.51' };

const TREE = 'small';
const DISK_BYTES = 4 * 1024 ** 3;
const SAID_WITHIN_MS = 2 * 60_000;
const NOTES = 300;
const LARGE_BYTES = 12 * 1024 ** 2;

/** A machine that goes on from there as often as one likes. */
export interface Frozen {
  memory: string;
  disk: string;
}

export class PowerFleet {
  readonly fleet: LabFleet;
  readonly machine: Machine;
  #said = 0;

  private constructor(fleet: LabFleet) {
    this.fleet = fleet;
    this.machine = fleet.lab.machine(BLADE.name);
  }

  /** A root that serves release 1. @param name of the lab's folder */
  static async create(name: string): Promise<PowerFleet> {
    const machine = { diskCache: 'volatile', diskBytes: DISK_BYTES } as const;
    const fleet = await LabFleet.create({ name, network: NETWORK, blades: [BLADE], machine });
    const power = new PowerFleet(fleet);
    try {
      await fleet.write({ 'fleet.yaml': fleetYaml(1) });
      await fleet.bladeroot('tree', 'create', TREE, '--from', await smallTree(CACHE));
      await power.#publish(1);
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

  /** Keeps the machine as it is at this moment, and switches it off. */
  async freeze(name: string): Promise<Frozen> {
    const frozen = { memory: this.file(`${name}.memory`), disk: this.file(`${name}.disk`) };
    await this.machine.freeze(frozen.memory);
    await this.#copy(this.machine.files.disk, frozen.disk);
    return frozen;
  }

  async thaw({ memory, disk }: Frozen): Promise<void> {
    await this.#copy(disk, this.machine.files.disk);
    await this.machine.thaw(memory);
  }

  /** Another machine, as far as its disk goes. */
  async blankDisk(): Promise<void> {
    await this.machine.destroyDisk();
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
    await this.machine.type(`${command}; echo "${done.slice(0, 2)}""${done.slice(2)}."`);
    await this.machine.waitForConsole(new RegExp(`${done}\\.`), { timeoutMs: SAID_WITHIN_MS, from: size });
  }

  /** Hears all that the root tells. @returns what ends that */
  onEvent(listener: (event: RecordedEvent) => void): () => void {
    return this.fleet.onEvent(listener);
  }

  async up(start: (machine: Machine) => Promise<void>): Promise<Up> {
    return await this.fleet.up(BLADE, start);
  }

  /** A path in the lab's folder. */
  file(name: string): string {
    return join(this.fleet.directory, name);
  }

  /** Most of a disk is holes. */
  async #copy(from: string, to: string): Promise<void> {
    await rm(to, { force: true });
    await run('cp', ['--sparse=always', '--reflink=auto', from, to]);
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
