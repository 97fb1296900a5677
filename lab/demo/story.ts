/**
 * The main job, as a story that is played on real machines: one tree becomes servers that run it, they start by themselves,
 * and one of them becomes the root. Each thing that the story claims is looked at, and noted as a check.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { BladerootError } from '../../src/errors.ts';
import { Lab } from '../lab.ts';
import type { Machine } from '../machine.ts';
import { OBSERVER } from '../segment.ts';
import type { MachineRequest } from '../state.ts';
import { BladeShell, LabKey } from './blade-shell.ts';
import { BLADEROOT, bladeroot, placeArgs, type CallOptions, type Place } from './bladeroot.ts';
import {
  bladeOf,
  HTTP_PORT,
  NETWORK,
  writeFleetFolder,
  type BladeName,
  type DemoBlade,
} from './fleet-folder.ts';
import { damagePack } from './damage.ts';
import { recordedEvent } from './event-stream.ts';
import { goldenTree } from './golden-tree.ts';
import { firstHeading, inspectBlade, inspectHostKeys, type Check } from './inspect.ts';
import type { Boot, Timeline } from './timeline.ts';

export interface StoryOptions {
  name: string;
  /** Where the lab keeps its disks, its logs and the root's state. */
  directory: string;
  /** Where the tree is kept from one run to the next. */
  cacheDirectory: string;
  timeline: Timeline;
  /** Leave the fleet running at the end. */
  keep: boolean;
  signal: AbortSignal;
  onChapter(title: string): void;
  onLine(line: string): void;
  onCheck(check: Check): void;
}

const TREE = 'debian';
const ROOT_HOST = 'root';
const DISK_BYTES = 8 * 1024 ** 3;
const MEMORY_MIB = 1024;

/** How long a machine may take from being switched on to being up, under plain emulation, in milliseconds. */
const UP_WITHIN_MS = 15 * 60_000;

export class Story {
  readonly #options: StoryOptions;
  readonly #place: Place;
  readonly checks: Check[] = [];

  constructor(options: StoryOptions) {
    this.#options = options;
    this.#place = {
      state: join(options.directory, 'root', 'state'),
      fleet: join(options.directory, 'root', 'fleet'),
    };
  }

  /** Three blades, deployed by a root. What cannot go on throws; the lab is then down, unless it is to be kept. */
  async up(): Promise<Lab> {
    return await this.#inLab(async (lab, shell) => await this.#deploy(lab, shell));
  }

  /** All of it. Every claim is in `checks` afterwards. As for the lab, as `up`. */
  async play(): Promise<Lab> {
    return await this.#inLab(async (lab, shell) => {
      await this.#deploy(lab, shell);
      await this.#startAlone(lab, shell);
      await this.#survive(lab, shell);
    });
  }

  async #inLab(chapters: (lab: Lab, shell: BladeShell) => Promise<void>): Promise<Lab> {
    const key = await LabKey.open(this.#options.directory);
    await this.#publish(key);
    const lab = await this.#buildLab();
    try {
      await chapters(lab, new BladeShell(lab, key, this.#options.signal));
      return lab;
    } catch (error) {
      if (!this.#options.keep) await lab.down();
      throw error;
    }
  }

  /** From a tree to a signed release. */
  async #publish(key: LabKey): Promise<void> {
    const { onChapter, onLine, cacheDirectory, directory } = this.#options;
    const call = this.#call();
    onChapter('One tree');
    const tree = await goldenTree(cacheDirectory, call);
    onLine(tree.reused ? `reusing the tree ${tree.directory}` : `built the tree ${tree.directory}`);

    onChapter('A signed release');
    await rm(join(directory, 'root'), { recursive: true, force: true });
    await mkdir(directory, { recursive: true });
    await bladeroot(this.#place, ['init', '--name', 'lab', '--subnet', NETWORK.subnet], call);
    await writeFleetFolder(this.#place.fleet, key.publicKey);
    await bladeroot(this.#place, ['tree', 'create', TREE, '--from', tree.directory], call);
    const packed = z
      .object({ id: z.string(), bytes: z.number(), storedBytes: z.number(), seconds: z.number() })
      .parse(await bladeroot(this.#place, ['snapshot', 'pack', TREE], call));
    onLine(
      `snapshot ${packed.id.slice(0, 12)}: ${megabytes(packed.bytes)} MB, ${megabytes(packed.storedBytes)} MB stored, packed in ${packed.seconds.toFixed(1)} s`,
    );
    await bladeroot(this.#place, ['release', 'publish', '-m', 'the lab'], call);
  }

  async #buildLab(): Promise<Lab> {
    const { name, directory, keep, signal, onLine } = this.#options;
    const first = FIRST_BLADES.map((blade) => machineOf(bladeOf(blade)));
    const lab = await Lab.create(
      {
        name,
        address: `${NETWORK.observer}/${NETWORK.prefix}`,
        hosts: [{ name: ROOT_HOST, address: `${NETWORK.root}/${NETWORK.prefix}` }],
        machines: first,
        keep,
        // The disks are sparse: each holds one slot, and a store.
        freeBytes: 4 * 3 * 1024 ** 3,
      },
      { directory, signal },
    );
    onLine(
      `virtual machines run under ${lab.accelerator.kind}${lab.accelerator.reason === '' ? '' : ` (${lab.accelerator.reason})`}`,
    );
    await lab.addMachine(machineOf(bladeOf('web03')));
    return lab;
  }

  /** Three blank machines become three blades. */
  async #deploy(lab: Lab, shell: BladeShell): Promise<void> {
    this.#options.onChapter('Three blank machines');
    await lab.startProgram('root', {
      host: ROOT_HOST,
      program: BLADEROOT,
      args: ['serve', '--interface', 'eth0', '--json', ...placeArgs(this.#place)],
      onLine: (line) => this.#record(line),
    });
    const boots = await Promise.all(FIRST_BLADES.map(async (name) => await this.#switchOn(lab, name)));
    await this.#allUp(lab, boots);
    for (const name of FIRST_BLADES) this.#note(await inspectBlade(shell, bladeOf(name)));
    this.#note(await inspectHostKeys(shell, FIRST_BLADES.map(bladeOf)));
  }

  /** Without any root, a blade starts from its own disk. */
  async #startAlone(lab: Lab, shell: BladeShell): Promise<void> {
    this.#options.onChapter('The root stops; web01 starts from its own disk');
    const web01 = bladeOf('web01');
    await this.#program(lab, 'root').stop();
    const before = await shell.on(web01, 'cat /proc/sys/kernel/random/boot_id');
    const machine = lab.machine('web01');
    await machine.cut();
    const boot = this.#options.timeline.powerOn('web01');
    await machine.powerOn(this.#options.signal);
    await this.#untilAnswers(lab, machine, shell, `http://${web01.address}/`);
    this.#options.timeline.serves(boot);
    const after = await shell.on(web01, 'cat /proc/sys/kernel/random/boot_id /proc/cmdline');
    const page = await shell.get(`http://${web01.address}/`);
    this.#check('web01 was power-cycled', !after.startsWith(before), `boot ${after.split('\n')[0] ?? ''}`);
    this.#check(
      'web01 started from its own disk',
      after.includes('bladeroot.slot=a'),
      after.split('\n')[1] ?? '',
    );
    this.#check('web01 serves without a root', page.includes('web01 serves'), firstHeading(page));
  }

  /** The root is lost for good; a blade takes its place and deploys a further machine. */
  async #survive(lab: Lab, shell: BladeShell): Promise<void> {
    const { onChapter, onLine, directory, timeline, signal } = this.#options;
    const web01 = bladeOf('web01');
    onChapter('The root is destroyed; web01 becomes the root');
    await lab.removeHost(ROOT_HOST);
    await rm(join(directory, 'root'), { recursive: true, force: true });
    onLine(`the root's namespace and disk (${join(directory, 'root')}) are gone`);
    onLine((await shell.on(web01, 'bladeroot promote 2>&1')).split('\n').at(-1) ?? '');
    await lab.startProgram('events', {
      host: OBSERVER,
      program: 'curl',
      args: ['--silent', '--no-buffer', `http://${web01.address}:${HTTP_PORT}/api/v1/events?follow=true`],
      onLine: (line) => this.#record(line),
    });

    onChapter('A fourth, blank machine; a byte of the image is wrong');
    const damage = await damagePack(shell, web01);
    onLine(damage.what);
    const boot = await this.#switchOn(lab, 'web03');
    const failure = await this.#whileAlive(lab, 'web03', (alive) =>
      timeline.until(() => boot.failures.find(({ step }) => step === 'fetch'), alive),
    );
    this.#check(
      'the agent refused a pack with a wrong byte',
      /damaged/.test(failure.message),
      failure.message,
    );
    await damage.mend();
    onLine('the byte is mended');
    await this.#allUp(lab, [boot]);
    this.#note(await inspectBlade(shell, bladeOf('web03')));
    const state = await shell.on(bladeOf('web03'), 'cat /var/lib/bladeroot/blade.json');
    this.#check('web03 was deployed by web01', state.includes(web01.address), rootsIn(state));
    signal.throwIfAborted();
  }

  async #switchOn(lab: Lab, name: BladeName): Promise<Boot> {
    const boot = this.#options.timeline.powerOn(name);
    await lab.machine(name).powerOn(this.#options.signal);
    return boot;
  }

  async #allUp(lab: Lab, boots: Boot[]): Promise<void> {
    await Promise.all(
      boots.map(async (boot) => {
        await this.#whileAlive(lab, boot.blade, (alive) =>
          this.#options.timeline.until(() => boot.up, alive),
        );
        const seen = `release ${boot.up?.release ?? '?'}, slot ${boot.up?.slot ?? '?'}, services ${boot.up?.services ?? '?'}`;
        this.#check(`${boot.blade} installed itself and is up`, boot.up?.services === 'running', seen);
      }),
    );
  }

  /** Waits for something of a machine, as long as it runs, has not given up, and has time left. */
  async #whileAlive<T>(lab: Lab, name: string, wait: (alive: AbortSignal) => Promise<T>): Promise<T> {
    const over = new AbortController();
    const end = (why: string): void => over.abort(new BladerootError('BLADE_LOST', `${name} ${why}`));
    const machine = lab.machine(name);
    const alive = AbortSignal.any([over.signal, this.#options.signal]);
    const timer = setTimeout(
      () => end(`was not there within ${UP_WITHIN_MS / 60_000} minutes`),
      UP_WITHIN_MS,
    );
    const watching = [
      machine.whenOff(alive).then(({ lastWords }) => end(`went off; its console ends with: ${lastWords}`)),
      machine
        .waitForConsole(/bladeroot: STOPPED: (.*)/, { signal: alive, timeoutMs: UP_WITHIN_MS })
        .then(([, why]) => end(`gave up: ${why ?? ''}`)),
    ];
    try {
      return await wait(alive);
    } finally {
      clearTimeout(timer);
      over.abort(new Error('no longer waited for'));
      await Promise.allSettled(watching);
    }
  }

  /** Waits until a web server answers; the machine has no root to tell. */
  async #untilAnswers(lab: Lab, machine: Machine, shell: BladeShell, url: string): Promise<void> {
    await this.#whileAlive(lab, machine.name, async (alive) => {
      for (;;) {
        alive.throwIfAborted();
        try {
          return await shell.get(url);
        } catch (error) {
          if (alive.aborted || !(error instanceof BladerootError)) throw error;
        }
      }
    });
  }

  #program(lab: Lab, name: string): Lab['programs'][number] {
    const program = lab.programs.find((candidate) => candidate.name === name);
    if (program === undefined) throw new Error(`the lab runs no ${name}`);
    return program;
  }

  #record(line: string): void {
    const event = recordedEvent(line);
    if (event !== undefined) this.#options.timeline.record(event);
  }

  #check(what: string, passed: boolean, seen: string): void {
    this.#note([{ what, passed, seen }]);
  }

  #note(checks: Check[]): void {
    for (const check of checks) {
      this.checks.push(check);
      this.#options.onCheck(check);
    }
  }

  #call(): CallOptions {
    const { signal, onLine } = this.#options;
    return { signal, onLine };
  }
}

const FIRST_BLADES = ['web01', 'web02', 'mail01'] as const satisfies BladeName[];

/** The virtual machine that is to become a blade. */
function machineOf({ name, mac }: DemoBlade): MachineRequest {
  return { name, mac, diskBytes: DISK_BYTES, memoryMiB: MEMORY_MIB };
}

function rootsIn(state: string): string {
  return z
    .object({ roots: z.array(z.string()) })
    .parse(JSON.parse(state))
    .roots.join(', ');
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}
