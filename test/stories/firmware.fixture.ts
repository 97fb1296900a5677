/** For stories of firmware: a root with a real release, machines of every kind before it, and what the root saw of each boot. */
import { rm, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFileAtomic } from '../../src/system/write-file.ts';
import { BladerootError } from '../../src/errors.ts';
import type { RecordedEvent } from '../../src/events/catalogue.ts';
import { BLADEROOT, bladeroot, placeArgs } from '../../lab/demo/bladeroot.ts';
import { recordedEvent } from '../../lab/demo/event-stream.ts';
import { goldenTree } from '../../lab/demo/golden-tree.ts';
import { Lab } from '../../lab/lab.ts';
import type { HostRequest, MachineRequest } from '../../lab/state.ts';

const LABS = fileURLToPath(new URL('../../.lab/', import.meta.url));

export const ROOT = 'root';
export const NEAR = { subnet: '10.77.0.0/24', observer: '10.77.0.254/24', root: '10.77.0.1' } as const;

/** A machine that is a blade of the fleet. */
export interface FirmwareBlade {
  name: string;
  mac: string;
  address: string;
  machine?: Partial<MachineRequest>;
  /** Further fields of the blade, as they stand in a map of fleet.yaml: `root: ram, pin: 3`. */
  settings?: string;
}

export interface FirmwareRequest {
  /** Of the lab and its directory. */
  name: string;
  blades: FirmwareBlade[];
  /** Machines that no release knows. */
  strangers?: (Partial<MachineRequest> & Pick<MachineRequest, 'name' | 'mac'>)[];
  /** Lines of fleet.yaml beside `name` and `blades`; the near network without more when left out. */
  fleet?: string;
  /** Besides the root. */
  hosts?: HostRequest[];
  signal: AbortSignal;
}

/** How a boot went, from power on to the agent's first word. */
export interface BootSeen {
  events: RecordedEvent[];
  /** The events' types in their order, each once. */
  stations: string[];
  /** From the address that iPXE got to the script that it fetched; undefined where it did not come so far. */
  ipxeWaitedSeconds: number | undefined;
  /** Names of the loaders that were fetched by TFTP or HTTP. */
  loaders: string[];
  /** What the machine showed. */
  console: string;
}

/** What comes at the end of a boot that went well, as stations: the loader's work, and the agent's hello. */
export const LOADED = ['boot.script', 'boot.kernel', 'boot.initrd', 'blade.step'];

/** Under plain emulation, on a computer that has other things to do as well. */
const HELLO_WITHIN_MS = 5 * 60_000;
const DISK_BYTES = 64 * 1024 ** 2;

interface ReachOptions {
  withinMs?: number;
  look?: () => Promise<void>;
}

export class FirmwareLab {
  readonly lab: Lab;
  readonly events: RecordedEvent[] = [];
  readonly #place: { state: string; fleet: string };
  readonly #signal: AbortSignal;
  #changed = Promise.withResolvers<void>();

  private constructor(lab: Lab, place: { state: string; fleet: string }, signal: AbortSignal) {
    this.lab = lab;
    this.#place = place;
    this.#signal = signal;
  }

  /** Publishes a release of the lab's Debian for the blades, and builds a lab with their machines, all off. */
  static async create(request: FirmwareRequest): Promise<FirmwareLab> {
    const { name, blades, strangers = [], fleet, hosts = [], signal } = request;
    const directory = join(LABS, name);
    const place = { state: join(directory, 'root', 'state'), fleet: join(directory, 'root', 'fleet') };
    const call = { signal, onLine: (): void => undefined };
    const golden = await goldenTree(join(LABS, 'cache'), call);
    await rm(dirname(place.state), { recursive: true, force: true });
    await mkdir(directory, { recursive: true });
    await bladeroot(place, ['init', '--name', 'lab', '--subnet', NEAR.subnet], call);
    await writeFileAtomic(join(place.fleet, 'fleet.yaml'), fleetYaml(blades, fleet));
    await bladeroot(place, ['tree', 'create', 'debian', '--from', golden.directory], call);
    await bladeroot(place, ['snapshot', 'pack', 'debian'], call);
    await bladeroot(place, ['release', 'publish', '-m', name], call);
    const lab = await Lab.create(
      {
        name: `${name}-${process.pid}`,
        address: NEAR.observer,
        hosts: [{ name: ROOT, address: `${NEAR.root}/24` }, ...hosts],
        machines: [...blades.map(({ machine, name, mac }) => ({ ...machine, name, mac })), ...strangers].map(
          (machine) => ({ memoryMiB: 1024, diskBytes: DISK_BYTES, ...machine }),
        ),
      },
      { directory, signal },
    );
    return new FirmwareLab(lab, place, signal);
  }

  /** Publishes another fleet.yaml for the same blades, as an administrator would while the root runs or not. */
  async publish(blades: FirmwareBlade[], fleet: string): Promise<void> {
    await writeFileAtomic(join(this.#place.fleet, 'fleet.yaml'), fleetYaml(blades, fleet));
    await this.bladeroot('release', 'publish', '-m', 'another fleet.yaml');
  }

  /** What an administrator calls on the root; returns what it printed as JSON. */
  async bladeroot(...args: string[]): Promise<unknown> {
    return await bladeroot(this.#place, args, { signal: this.#signal, onLine: () => undefined });
  }

  /** Starts the root, and waits until it answers. */
  async serve(): Promise<void> {
    const program = await this.lab.startProgram(ROOT, {
      host: ROOT,
      program: BLADEROOT,
      args: ['serve', '--interface', 'eth0', '--json', ...placeArgs(this.#place)],
      onLine: (line) => this.#record(line),
    });
    const ended = program.exited(this.#signal).then(() => {
      throw new BladerootError('ROOT_ENDED', `the root ended; its words are in ${program.stderrFile}`);
    });
    ended.catch(() => undefined);
    await Promise.race([ended, this.#until(() => this.events.some(({ type }) => type === 'root.started'))]);
  }

  /**
   * Switches a machine on, waits until its agent says hello to the root, and cuts its power: what comes then is the main
   * job's story. @throws BladerootError `NO_HELLO` with what the root saw and the console's last words
   */
  async untilHello(name: string): Promise<BootSeen> {
    return await this.untilReached(name, isHello);
  }

  /**
   * As `untilHello`, for another event of the boot than the hello.
   * @param look is called then, before the power is cut
   */
  async untilReached(
    name: string,
    isReached: (event: RecordedEvent) => boolean,
    { withinMs = HELLO_WITHIN_MS, look = async () => {} }: ReachOptions = {},
  ): Promise<BootSeen> {
    const machine = this.lab.machine(name);
    const from = this.events.length;
    await machine.powerOn(this.#signal);
    try {
      const seen = await this.follow(name, isReached, { from, withinMs });
      await look();
      return seen;
    } finally {
      await machine.cut();
    }
  }

  /**
   * Follows a machine that is on, and stays on, until an event of the blade of its name; `from` is the number of the first
   * event that counts. @throws BladerootError `NO_HELLO`
   */
  async follow(
    name: string,
    isReached: (event: RecordedEvent) => boolean,
    { from = this.events.length, withinMs = HELLO_WITHIN_MS } = {},
  ): Promise<BootSeen> {
    const machine = this.lab.machine(name);
    const ofBlade = (): RecordedEvent[] =>
      this.events.slice(from).filter((event) => 'blade' in event && event.blade === name);
    const late = AbortSignal.timeout(withinMs);
    const until = AbortSignal.any([late, this.#signal]);
    try {
      const off = machine.whenOff(until).then(() => {
        throw new Error('it went off');
      });
      off.catch(() => undefined);
      await Promise.race([off, this.#until(() => ofBlade().some(isReached), until)]);
    } catch (cause) {
      const seen = ofBlade().map(inWords).join(', ');
      const last = (await machine.consoleText()).trimEnd().split('\n').slice(-12).join('\n');
      const what = `${name} did not come as far as it should; the root saw: ${seen || 'nothing'}; its console ends:\n${last}`;
      throw new BladerootError('NO_HELLO', what, { cause });
    }
    const events = ofBlade();
    return {
      events,
      stations: [...new Set(events.map(({ type }) => type))],
      console: await machine.consoleText(),
      ipxeWaitedSeconds: ipxeWaited(events),
      // Whoever fetched them: beside another DHCP server a machine has an address that tells nothing of its blade.
      loaders: this.events
        .slice(from)
        .flatMap((event) =>
          event.type === 'boot.loader' && event.message !== undefined ? [event.message] : [],
        ),
    };
  }

  /** Waits for an event from now on; rejects when `signal` is aborted first. */
  async until(wanted: (event: RecordedEvent) => boolean, signal: AbortSignal): Promise<void> {
    const from = this.events.length;
    await this.#until(() => this.events.slice(from).some(wanted), signal);
  }

  #record(line: string): void {
    const event = recordedEvent(line);
    if (event === undefined) return;
    this.events.push(event);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  async #until(reached: () => boolean, signal: AbortSignal = this.#signal): Promise<void> {
    const aborted = new Promise<never>((_, reject) => {
      const abort = (): void => reject(new Error('it took too long', { cause: signal.reason }));
      if (signal.aborted) abort();
      else signal.addEventListener('abort', abort, { once: true });
    });
    while (!reached()) await Promise.race([this.#changed.promise, aborted]);
    aborted.catch(() => undefined);
  }
}

/** Its first report, whichever: each is sent once, and on a computer with much else to do the very first may be lost. */
function isHello(event: RecordedEvent): boolean {
  return event.type === 'blade.step';
}

function ipxeWaited(events: readonly RecordedEvent[]): number | undefined {
  const script = events.find(({ type }) => type === 'boot.script');
  const address = events.findLast(
    ({ type, time }) => type === 'dhcp.ack' && script !== undefined && time <= script.time,
  );
  return script === undefined || address === undefined ? undefined : (script.time - address.time) / 1000;
}

function inWords(event: RecordedEvent): string {
  const message = 'message' in event && event.message !== undefined ? ` (${event.message})` : '';
  return event.type + message;
}

function fleetYaml(blades: FirmwareBlade[], fleet: string = `network:\n  subnet: ${NEAR.subnet}\n`): string {
  const lines = blades.map(({ name, mac, address, settings }) => {
    const more = settings === undefined ? '' : `, ${settings}`;
    return `  ${name}: { mac: "${mac}", address: ${address}${more} }`;
  });
  return [
    'name: lab',
    fleet.trimEnd(),
    'defaults:',
    '  kernelArgs: [console=tty0, "console=ttyS0,115200"]',
    lines.length === 0 ? 'blades: {}' : 'blades:',
    ...lines,
    '',
  ].join('\n');
}
