/** For tests that boot real blades: a root's place and its daemon, the virtual machines, and what a root is told of them. */
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BladeShell, LabKey } from '../lab/demo/blade-shell.ts';
import { BLADEROOT, bladeroot, placeArgs, type CallOptions, type Place } from '../lab/demo/bladeroot.ts';
import { recordedEvent } from '../lab/demo/event-stream.ts';
import { HTTP_PORT } from '../lab/demo/fleet-folder.ts';
import { Timeline, type Boot } from '../lab/demo/timeline.ts';
import type { HostProgram } from '../lab/host-program.ts';
import { Lab } from '../lab/lab.ts';
import type { Machine } from '../lab/machine.ts';
import { OBSERVER } from '../lab/segment.ts';
import type { MachineRequest } from '../lab/state.ts';
import { BladerootError } from '../src/errors.ts';
import type { RecordedEvent } from '../src/events/catalogue.ts';
import { writeFileAtomic } from '../src/system/write-file.ts';

const LABS = fileURLToPath(new URL('../.lab/', import.meta.url));
/** Where golden trees are kept for later runs. */
export const CACHE = join(LABS, 'cache');
const ROOT_HOST = 'root';

/** From a start to being up, under plain emulation, on a computer that has other things to do as well. */
const UP_WITHIN_MS = 10 * 60_000;

export interface LabBlade {
  name: string;
  mac: string;
  address: string;
}

export interface LabFleetRequest {
  /** Of its folder in `.lab`. */
  name: string;
  /** `observer` is where the lab looks at the blades from. */
  network: { subnet: string; prefix: string; observer: string; root: string };
  blades: LabBlade[];
  /** What the firmware starts; network-first when left out. */
  bootOrder?: MachineRequest['bootOrder'];
  /** What else is not as usual with the machines. */
  machine?: Partial<Pick<MachineRequest, 'diskCache' | 'diskBytes' | 'secondDiskBytes'>>;
  /** The root is that of an earlier run: what it has published is there. */
  goOn?: boolean;
}

export type Up = NonNullable<Boot['up']>;

export class LabFleet {
  readonly directory: string;
  readonly place: Place;
  readonly lab: Lab;
  readonly shell: BladeShell;
  /** The lab's own ssh key; without it on a blade there is no shell there. */
  readonly publicKey: string;
  /** For the program as a person calls it. */
  readonly call: CallOptions;
  readonly #timeline = new Timeline();
  readonly #listeners = new Set<(event: RecordedEvent) => void>();
  readonly #over: AbortController;
  #root: HostProgram | undefined;

  private constructor(directory: string, lab: Lab, key: LabKey, over: AbortController) {
    this.directory = directory;
    this.place = placeIn(directory);
    this.lab = lab;
    this.shell = new BladeShell(lab, key, over.signal);
    this.publicKey = key.publicKey.trim();
    this.call = { signal: over.signal, onLine: () => undefined };
    this.#over = over;
  }

  /** An empty fleet folder, a state directory with keys, and blank machines that are off. */
  static async create(request: LabFleetRequest): Promise<LabFleet> {
    const { name, network, blades, bootOrder, machine, goOn = false } = request;
    const directory = join(LABS, name);
    const over = new AbortController();
    const key = await LabKey.open(directory);
    const place = placeIn(directory);
    if (!goOn) await newRoot(place, network.subnet, over.signal);
    const lab = await Lab.create(
      {
        name: `${name}-${process.pid}`,
        address: `${network.observer}/${network.prefix}`,
        hosts: [{ name: ROOT_HOST, address: `${network.root}/${network.prefix}` }],
        machines: blades.map((blade) => ({ ...machineOf(blade, bootOrder), ...machine })),
        // The disks are sparse.
        freeBytes: blades.length * 3 * 1024 ** 3,
      },
      { directory, signal: over.signal },
    );
    return new LabFleet(directory, lab, key, over);
  }

  async down(): Promise<void> {
    this.#over.abort();
    await this.lab.down();
  }

  /** Runs a command on the root. Fails as `run` does. @returns what it printed, parsed */
  async bladeroot(...args: string[]): Promise<unknown> {
    return await bladeroot(this.place, args, this.call);
  }

  /** Files of the fleet folder, by path; what is a script there is one on the blades. */
  async write(files: Record<string, string>): Promise<void> {
    for (const [path, text] of Object.entries(files)) {
      const file = join(this.place.fleet, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFileAtomic(file, text, { mode: text.startsWith('#!') ? 0o755 : 0o644 });
    }
  }

  /** Packs a tree and publishes the first release with it. */
  async publish(tree: string, from: string): Promise<void> {
    await this.bladeroot('tree', 'create', tree, '--from', from);
    await this.bladeroot('snapshot', 'pack', tree);
    await this.bladeroot('release', 'publish', '--snapshot', tree, '-m', 'the first');
  }

  async startRoot(): Promise<void> {
    this.#root = await this.lab.startProgram('root', {
      host: ROOT_HOST,
      program: BLADEROOT,
      args: ['serve', '--interface', 'eth0', '--json', ...placeArgs(this.place)],
      onLine: (line) => this.#record(line),
    });
  }

  async stopRoot(): Promise<void> {
    await this.#root?.stop();
    this.#root = undefined;
  }

  /** As its power cut would. */
  async killRoot(): Promise<void> {
    await this.#root?.kill();
    this.#root = undefined;
  }

  /** Hears from now on what a blade is told that has become the root. */
  async listenTo({ name, address }: LabBlade): Promise<void> {
    const url = `http://${address}:${HTTP_PORT}/api/v1/events?follow=true`;
    await this.lab.startProgram(`events-${name}`, {
      host: OBSERVER,
      program: 'curl',
      args: ['--silent', '--no-buffer', url],
      onLine: (line) => this.#record(line),
    });
  }

  /** Starts a blade and waits until a root has heard that it is up. */
  async up(blade: LabBlade, start: (machine: Machine) => Promise<void> = powerOn): Promise<Up> {
    const boot = this.#timeline.powerOn(blade.name);
    return await this.#whileAlive(blade, start, async (alive) => {
      return await this.#timeline.until(() => boot.up, alive);
    }).catch((cause: unknown) => {
      throw new Error(`${blade.name} is not up; last it told: ${boot.step}`, { cause });
    });
  }

  /** Does something, and waits for an event that a root tells of a blade from then on, as long as that one runs. */
  async told<T extends RecordedEvent>(
    blade: LabBlade,
    isMeant: (event: RecordedEvent) => event is T,
    start: (machine: Machine) => Promise<void>,
  ): Promise<T> {
    const heard = Promise.withResolvers<T>();
    const listen = (event: RecordedEvent): void => {
      if ('blade' in event && event.blade === blade.name && isMeant(event)) heard.resolve(event);
    };
    this.#listeners.add(listen);
    try {
      return await this.#whileAlive(blade, start, async (alive) => {
        alive.addEventListener('abort', () => heard.reject(alive.reason), { once: true });
        return await heard.promise;
      });
    } finally {
      this.#listeners.delete(listen);
    }
  }

  /** Hears all that a root tells from now on. @returns what ends that */
  onEvent(listener: (event: RecordedEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Starts a blade that runs again, and waits until it answers; for when there is no root to tell. */
  async answersAgain(blade: LabBlade, start: (machine: Machine) => Promise<void>): Promise<void> {
    const before = await this.#bootId(blade);
    await this.#whileAlive(blade, start, async (alive) => {
      for (;;) {
        alive.throwIfAborted();
        const now = await this.#bootId(blade).catch((error: unknown) => {
          if (alive.aborted || !(error instanceof BladerootError)) throw error;
          return before;
        });
        if (now !== before) return;
      }
    });
  }

  /** The blade restarts itself, as its administrator would have it. */
  async reboot(blade: LabBlade): Promise<void> {
    const boot = await this.#bootId(blade);
    // The shell says a line again when the answer was lost: it must not restart what has just started.
    const same = `grep -qx ${boot} ${BOOT_ID}`;
    await this.shell.on(blade, `if ${same}; then setsid reboot </dev/null >/dev/null 2>&1 & fi`);
  }

  async #bootId(blade: LabBlade): Promise<string> {
    return await this.shell.on(blade, `cat ${BOOT_ID}`);
  }

  /** Waits for something of a machine, as long as it runs and has not given up. */
  async #whileAlive<T>(
    { name }: LabBlade,
    start: (machine: Machine) => Promise<void>,
    wait: (alive: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const machine = this.lab.machine(name);
    await start(machine);
    const over = new AbortController();
    const late = AbortSignal.timeout(UP_WITHIN_MS);
    const alive = AbortSignal.any([over.signal, late, this.#over.signal]);
    const end = (why: string): void => over.abort(new BladerootError('BLADE_LOST', `${name} ${why}`));
    const watching = [
      machine.whenOff(alive).then(({ reason }) => end(`went off: ${reason}`)),
      machine
        .waitForConsole(GAVE_UP, { signal: alive, timeoutMs: UP_WITHIN_MS })
        .then(([said]) => end(`gave up: ${said}`)),
    ];
    try {
      return await wait(alive);
    } catch (cause) {
      const last = (await machine.consoleText()).trimEnd().split('\n').slice(-30).join('\n');
      throw new Error(`${name}: its console (${machine.files.console}) ends:\n${last}`, { cause });
    } finally {
      over.abort(new Error('no longer waited for'));
      await Promise.allSettled(watching);
    }
  }

  #record(line: string): void {
    const event = recordedEvent(line);
    if (event === undefined) return;
    this.#timeline.record(event);
    for (const listener of this.#listeners) listener(event);
  }
}

/** With keys, and nothing in its fleet folder. */
async function newRoot(place: Place, subnet: string, signal: AbortSignal): Promise<void> {
  await rm(dirname(place.state), { recursive: true, force: true });
  const init = ['init', '--name', 'lab', '--subnet', subnet];
  await bladeroot(place, init, { signal, onLine: () => undefined });
  await rm(place.fleet, { recursive: true });
}

const BOOT_ID = '/proc/sys/kernel/random/boot_id';
/** The last words of /init, and of a kernel; one that is emulated on a busy computer is locked up now and then, and goes on. */
const GAVE_UP = /bladeroot: STOPPED: .*|Kernel panic - .*|BUG: (?!soft lockup).*|Oops: .*/;

async function powerOn(machine: Machine): Promise<void> {
  await machine.powerOn();
}

function placeIn(directory: string): Place {
  return { state: join(directory, 'root', 'state'), fleet: join(directory, 'root', 'fleet') };
}

function machineOf({ name, mac }: LabBlade, bootOrder: MachineRequest['bootOrder']): MachineRequest {
  return { name, mac, diskBytes: 8 * 1024 ** 3, memoryMiB: 1024, bootOrder };
}
