/**
 * A virtual fleet on one computer: machines, the Ethernet segment between them, and hosts on it to run programs on.
 * It knows nothing of what runs there. All of it is in one directory and in network namespaces named after the lab,
 * so that whatever becomes of this process, `removeLab` finds and ends it.
 */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { BladerootError } from '../src/errors.ts';
import type { RunOptions, RunResult } from '../src/system/run.ts';
import { knownAccelerator, type Accelerator } from './accelerator.ts';
import { HostProgram, sizeOf } from './host-program.ts';
import { Machine } from './machine.ts';
import { preflight } from './preflight.ts';
import { attachProcess, identify, isRunning, startProcess } from './process.ts';
import { Segment, namespacesOf, removeSegment } from './segment.ts';
import {
  StateFile,
  parseHostRequest,
  parseLabRequest,
  parseMachineRequest,
  readState,
  type HostRequest,
  type LabRequest,
  type LabState,
  type MachineRequest,
  type MachineState,
} from './state.ts';

export interface LabOptions {
  /** Where the lab keeps its state, disks and logs. */
  directory: string;
  /** Takes the lab down when it is aborted, whatever is going on. */
  signal?: AbortSignal | undefined;
}

export interface ProgramRequest {
  /** The host that it runs on, or `observer`. */
  host: string;
  program: string;
  args?: string[];
  /** Added to this process's environment. */
  env?: Record<string, string>;
  /** Called with each line of its stdout. */
  onLine?: (line: string) => void;
}

export class Lab {
  readonly name: string;
  /** Absolute path of its state directory. */
  readonly directory: string;
  readonly accelerator: Accelerator;
  readonly segment: Segment;
  readonly #file: StateFile;
  readonly #machines = new Map<string, Machine>();
  readonly #programs = new Map<string, HostProgram>();
  readonly #closing = new AbortController();
  #down: Promise<void> | undefined;

  private constructor(directory: string, file: StateFile) {
    this.name = file.state.name;
    this.directory = directory;
    this.accelerator = file.state.accelerator;
    this.segment = new Segment(this.name);
    this.#file = file;
    for (const state of file.state.machines) this.#machines.set(state.request.name, this.#machineOf(state));
    for (const { name, host, process } of file.state.programs) {
      const files = this.#programFiles(name);
      this.#programs.set(name, new HostProgram(name, host, files, attachProcess(process)));
    }
  }

  /**
   * Builds a lab; its machines are off. What a crashed run left in the directory is removed first.
   * @throws BladerootError `LAB_REQUEST`, `LAB_PREFLIGHT`, `LAB_RUNNING` when the directory's lab is alive,
   * `LAB_NAME_TAKEN` when a lab of that name is; or the signal's reason. Nothing is left behind then.
   */
  static async create(request: LabRequest, { directory: place, signal }: LabOptions): Promise<Lab> {
    const wanted = parseLabRequest(request);
    const directory = resolve(place);
    await clearCrashed(directory);
    await preflight({
      directory,
      diskBytes: wanted.freeBytes ?? wanted.machines.reduce((sum, machine) => sum + machine.diskBytes, 0),
      machines: wanted.machines.map(({ name }) => name),
      uefi: wanted.machines.some(({ firmware }) => firmware === 'uefi'),
    });
    await mkdir(join(directory, 'programs'), { recursive: true });
    const accelerator: Accelerator =
      wanted.accelerator === 'probe'
        ? await knownAccelerator(join(directory, 'accelerator.json'), signal)
        : { kind: wanted.accelerator, reason: 'as it was asked for' };
    await new Segment(wanted.name).claim();
    const file = StateFile.begin(stateFile(directory), wanted, accelerator, identify());
    const lab = new Lab(directory, file);
    try {
      await lab.#file.save();
      await lab.segment.build(wanted.address);
      for (const host of wanted.hosts) {
        signal?.throwIfAborted();
        await lab.addHost(host);
      }
      for (const machine of wanted.machines) {
        signal?.throwIfAborted();
        await lab.addMachine(machine);
      }
      signal?.throwIfAborted();
    } catch (error) {
      await lab.down();
      throw error;
    }
    lab.#downWhen(signal);
    return lab;
  }

  /**
   * Joins a lab that another process made, to look at it, use it, or take it down.
   * @throws BladerootError `LAB_MISSING`, or `LAB_STATE` when its state cannot be read.
   */
  static async open(directory: string): Promise<Lab> {
    const file = await readState(stateFile(resolve(directory)));
    if (file === undefined) {
      throw new BladerootError('LAB_MISSING', `there is no lab in ${directory}`, {
        hint: 'start one with `bladeroot lab up`',
      });
    }
    return new Lab(resolve(directory), file);
  }

  /** Joins a further host to the segment. */
  async addHost(request: HostRequest): Promise<void> {
    const host = parseHostRequest(request);
    const { state } = this.#file;
    if (state.hosts.some(({ name }) => name === host.name)) {
      throw new BladerootError('LAB_REQUEST', `there is a host ${host.name} already`);
    }
    state.hosts.push(host);
    const port = this.#newDevice('host');
    await this.#file.save();
    await this.segment.addHost(host.name, port, host.address);
    if (host.farAddress !== undefined) {
      const farPort = this.#newDevice('host');
      await this.#file.save();
      await this.segment.joinFar(host.name, farPort, host.farAddress);
    }
  }

  /** Takes a host off the segment for good, and ends all that runs on it, without a warning. */
  async removeHost(name: string): Promise<void> {
    const { state } = this.#file;
    this.#mustHaveHost(name);
    await this.segment.removeHost(name);
    state.hosts = state.hosts.filter((host) => host.name !== name);
    state.programs = state.programs.filter((program) => program.host !== name);
    await this.#file.save();
  }

  /** Puts a further machine on the segment, blank and off. */
  async addMachine(request: MachineRequest): Promise<Machine> {
    const parsed = parseMachineRequest(request);
    const { state } = this.#file;
    const twin = state.machines.find(
      ({ request: { name, mac } }) => name === parsed.name || mac === parsed.mac,
    );
    if (twin !== undefined) {
      const { name, mac } = twin.request;
      throw new BladerootError('LAB_REQUEST', `there is a machine ${name} with the MAC ${mac} already`);
    }
    const machineState: MachineState = {
      request: parsed,
      tap: this.#newDevice('tap'),
      pulled: [],
      boots: [],
    };
    state.machines.push(machineState);
    await this.#file.save();
    const machine = this.#machineOf(machineState);
    this.#machines.set(machine.name, machine);
    await this.segment.addTap(machineState.tap, parsed.segment);
    await machine.prepare();
    return machine;
  }

  get machines(): Machine[] {
    return [...this.#machines.values()];
  }

  get hosts(): LabState['hosts'] {
    return this.#file.state.hosts;
  }

  get programs(): HostProgram[] {
    return [...this.#programs.values()];
  }

  /** @throws BladerootError `MACHINE_UNKNOWN` that names the machines there are. */
  machine(name: string): Machine {
    const machine = this.#machines.get(name);
    if (machine !== undefined) return machine;
    throw new BladerootError('MACHINE_UNKNOWN', `the lab ${this.name} has no machine ${name}`, {
      hint: `it has ${[...this.#machines.keys()].join(', ') || 'none'}`,
    });
  }

  /** Runs a program on a host, or on `observer`, to its end; fails as `run` does. */
  async exec(
    host: string,
    program: string,
    args: string[] = [],
    options: RunOptions = {},
  ): Promise<RunResult> {
    return await this.segment.exec(host, program, args, options);
  }

  /**
   * Starts a program that goes on running on a host. What it writes goes to `programs/NAME.out` and `NAME.log` (stderr).
   * @throws BladerootError `PROGRAM_RUNNING` when one of that name is.
   */
  async startProgram(name: string, request: ProgramRequest): Promise<HostProgram> {
    const { host, program, args = [], env = {}, onLine } = request;
    if (this.#programs.get(name)?.running() === true) {
      throw new BladerootError('PROGRAM_RUNNING', `${name} runs already`);
    }
    const { state } = this.#file;
    const files = this.#programFiles(name);
    const from = await sizeOf(files.stdout);
    const [command, rest] = this.segment.command(host, program, args);
    const child = await startProcess(command, rest, { ...files, env, outlive: state.keep });
    const owned = new HostProgram(name, host, files, child);
    this.#programs.set(name, owned);
    state.programs = state.programs.filter((other) => other.name !== name);
    state.programs.push({ name, host, process: child.id });
    if (onLine !== undefined) owned.watch(from, onLine, this.#closing.signal);
    await this.#file.save();
    return owned;
  }

  /** Stops watching. A lab that is to be kept goes on; of any other, this process's end is the end. */
  close(): void {
    this.#closing.abort();
  }

  /**
   * Ends all of it: programs (asked first), machines (cut), namespaces, disks, state. Logs stay. Called again, it
   * waits for the same end; after a failure it tries again.
   */
  async down(): Promise<void> {
    this.#down ??= this.#takeDown().catch((error: unknown) => {
      this.#down = undefined;
      throw error;
    });
    await this.#down;
  }

  /** For `await using`: takes it down, unless it is to be kept. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#file.state.keep) this.close();
    else await this.down();
  }

  async #takeDown(): Promise<void> {
    await Promise.all(this.programs.map(async (program) => await program.stop()));
    await Promise.all(this.machines.map(async (machine) => await machine.remove()));
    await removeSegment(this.name);
    await this.#file.remove();
    this.close();
  }

  #downWhen(signal: AbortSignal | undefined): void {
    // Whoever waits for `down` is told of a failure; the owner always does, or leaves it to `lab down`.
    const abort = (): void => void this.down().catch(() => undefined);
    signal?.addEventListener('abort', abort, { once: true, signal: this.#closing.signal });
  }

  #machineOf(state: MachineState): Machine {
    return new Machine(state, {
      lab: this.name,
      directory: join(this.directory, 'machines', state.request.name),
      segment: this.segment,
      accelerator: this.accelerator.kind,
      outlive: this.#file.state.keep,
      save: async () => await this.#file.save(),
    });
  }

  #programFiles(name: string): { stdout: string; stderr: string } {
    const path = join(this.directory, 'programs', name);
    return { stdout: `${path}.out`, stderr: `${path}.log` };
  }

  #mustHaveHost(name: string): void {
    if (this.hosts.some((host) => host.name === name)) return;
    throw new BladerootError('HOST_UNKNOWN', `the lab ${this.name} has no host ${name}`);
  }

  /** Device names have 15 characters, too few for a machine's name; a number is not used again. */
  #newDevice(kind: 'host' | 'tap'): string {
    return `${kind}${this.#file.state.devices++}`;
  }
}

/**
 * Ends the lab in a directory, living or left by a crash; and where its state is gone too, whatever is found by the
 * lab's name. Whether there was anything to end.
 */
export async function removeLab(directory: string, name?: string): Promise<boolean> {
  const file = await readState(stateFile(resolve(directory)));
  if (file !== undefined) {
    await (await Lab.open(directory)).down();
    return true;
  }
  if (name === undefined || (await namespacesOf(name)).length === 0) return false;
  await removeSegment(name);
  return true;
}

async function clearCrashed(directory: string): Promise<void> {
  const file = await readState(stateFile(directory));
  if (file === undefined) return;
  const { name, owner, keep } = file.state;
  const living = isRunning(owner) || (keep && (await namespacesOf(name)).length > 0);
  if (living) {
    throw new BladerootError('LAB_RUNNING', `the lab ${name} is running already in ${directory}`, {
      hint: 'look at it with `bladeroot lab status`, or end it with `bladeroot lab down`',
    });
  }
  await removeLab(directory);
}

function stateFile(directory: string): string {
  return join(directory, 'lab.json');
}
