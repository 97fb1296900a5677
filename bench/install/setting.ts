/** One root and one machine before it, for timing installs and starts. */
import { join } from 'node:path';
import { BladeShell, LabKey } from '../../lab/demo/blade-shell.ts';
import { BLADEROOT, bladeroot, placeArgs, type CallOptions } from '../../lab/demo/bladeroot.ts';
import { recordedEvent } from '../../lab/demo/event-stream.ts';
import { bladeOf, HTTP_PORT, NETWORK, writeFleetFolder } from '../../lab/demo/fleet-folder.ts';
import { goldenTree } from '../../lab/demo/golden-tree.ts';
import { Timeline } from '../../lab/demo/timeline.ts';
import { Lab } from '../../lab/lab.ts';
import type { Machine } from '../../lab/machine.ts';
import type { Output } from '../../src/cli/output.ts';
import { run } from '../../src/system/run.ts';
import { changeFivePercent } from '../image/changed-tree.ts';

export const BLADE = bladeOf('web01');
export const ROOT_URL = `http://${NETWORK.root}:${HTTP_PORT}`;
const DISK_BYTES = 8 * 1024 ** 3;
/** What the image takes, twice, and room: what is written alone is read from memory. */
const MEMORY_MIB = 2048;
/** Under plain emulation, on a machine that has other things to do. */
const WITHIN_MS = 10 * 60_000;

export interface SettingOptions {
  /** For the lab's disks, and the root's state. */
  directory: string;
  cacheDirectory: string;
  signal: AbortSignal;
  output: Output;
}

export class Setting {
  readonly lab: Lab;
  readonly shell: BladeShell;
  readonly #place: { state: string; fleet: string };
  readonly #tree: string;
  readonly #options: SettingOptions;
  readonly #timeline = new Timeline();

  private constructor(
    lab: Lab,
    shell: BladeShell,
    place: { state: string; fleet: string },
    tree: string,
    options: SettingOptions,
  ) {
    this.lab = lab;
    this.shell = shell;
    this.#place = place;
    this.#tree = tree;
    this.#options = options;
  }

  /** The lab's tree is published, the root serves, the machine is blank and off. */
  static async create(options: SettingOptions): Promise<Setting> {
    const { directory, cacheDirectory, signal } = options;
    const place = { state: join(directory, 'state'), fleet: join(directory, 'fleet') };
    const call = callOptions(options);
    const { directory: tree } = await goldenTree(cacheDirectory, call);
    const key = await LabKey.open(directory);
    await bladeroot(place, ['init', '--name', 'lab', '--subnet', NETWORK.subnet], call);
    await writeFleetFolder(place.fleet, key.publicKey);
    await bladeroot(place, ['tree', 'create', 'debian', '--from', tree], call);
    await publish(place, call);
    const { name, mac } = BLADE;
    const lab = await Lab.create(
      {
        name: `bench-${process.pid}`,
        address: `${NETWORK.observer}/${NETWORK.prefix}`,
        hosts: [{ name: 'root', address: `${NETWORK.root}/${NETWORK.prefix}` }],
        machines: [{ name, mac, diskBytes: DISK_BYTES, memoryMiB: MEMORY_MIB }],
      },
      { directory: join(directory, 'lab'), signal },
    );
    const setting = new Setting(lab, new BladeShell(lab, key, signal), place, tree, options);
    try {
      await lab.startProgram('root', {
        host: 'root',
        program: BLADEROOT,
        args: ['serve', '--interface', 'eth0', '--json', ...placeArgs(place)],
        onLine: (line) => setting.#record(line),
      });
      return setting;
    } catch (error) {
      await lab.down();
      throw error;
    }
  }

  /** Publishes the tree with 5 % of its files changed. @returns how much was changed */
  async publishChanged(): Promise<{ files: number; bytes: number }> {
    const call = callOptions(this.#options);
    const changed = join(this.#options.directory, 'changed');
    const amount = await changeFivePercent(this.#tree, changed, call.signal);
    await bladeroot(this.#place, ['tree', 'create', 'changed', '--from', changed], call);
    await publish(this.#place, call, 'changed');
    return amount;
  }

  /** Switches the machine on. @returns seconds from the agent's first word to its switch of the root, once it is up */
  async runAgent(): Promise<number> {
    const machine = this.lab.machine(BLADE.name);
    const boot = this.#timeline.powerOn(BLADE.name);
    await machine.powerOn(this.#options.signal);
    await this.#shown(machine, /bladeroot: the agent runs/);
    const begun = performance.now();
    await this.#shown(machine, /bladeroot: starting \/sbin\/init on /);
    const seconds = (performance.now() - begun) / 1000;
    await this.#timeline.until(
      () => boot.up,
      AbortSignal.any([this.#options.signal, AbortSignal.timeout(WITHIN_MS)]),
    );
    return seconds;
  }

  /** Switches a machine on. @returns seconds from power on to the start of its slot's init */
  async startFromDisk(machine: Machine): Promise<number> {
    const begun = performance.now();
    await machine.powerOn(this.#options.signal);
    await this.#shown(machine, /bladeroot: starting \/sbin\/init on \/dev\//);
    const seconds = (performance.now() - begun) / 1000;
    if (/bladeroot: the agent runs/.test(await machine.consoleText()))
      throw new Error(`${machine.name} ran the agent, and was to start from its disk`);
    await machine.cut();
    return seconds;
  }

  /** A machine that starts from the disk first, with a copy of the blade's disk, which is off. */
  async twin(): Promise<Machine> {
    const machine = await this.lab.addMachine({
      name: 'twin',
      mac: '52:54:00:77:00:99',
      diskBytes: DISK_BYTES,
      memoryMiB: MEMORY_MIB,
      bootOrder: 'disk-first',
    });
    const { disk } = this.lab.machine(BLADE.name).files;
    await run('cp', ['--sparse=always', disk, machine.files.disk]);
    return machine;
  }

  async #shown(machine: Machine, pattern: RegExp): Promise<void> {
    await machine.waitForConsole(pattern, { timeoutMs: WITHIN_MS, signal: this.#options.signal });
  }

  #record(line: string): void {
    const event = recordedEvent(line);
    if (event !== undefined) this.#timeline.record(event);
  }
}

function callOptions({ signal, output }: SettingOptions): CallOptions {
  return { signal, onLine: (line) => output.step(line) };
}

async function publish(
  place: { state: string; fleet: string },
  call: CallOptions,
  tree = 'debian',
): Promise<void> {
  await bladeroot(place, ['snapshot', 'pack', tree], call);
  await bladeroot(place, ['release', 'publish', '--snapshot', tree], call);
}
