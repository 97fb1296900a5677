/** Cuts the power of a blade at chosen moments of its install and of its update, and sees what becomes of it. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { RecordedEvent } from '../../src/events/catalogue.ts';
import type { Up } from '../lab-fleet.fixture.ts';
import { lookAtDisk, type SeenDisk } from './disk-image.ts';
import type { Fault } from './faults.ts';
import type { PowerFleet } from './power-fleet.ts';
import { Replay, type Moment } from './replay.ts';

export type Work = 'install' | 'update';

export interface Trial {
  work: Work;
  /** After the first write, in milliseconds. */
  cutMs: number;
  /** What the firmware starts, when the power is back as at a restart. */
  order: 'network-first' | 'disk-first';
}

/** How long the work takes that is not disturbed, in milliseconds. */
export interface Duration {
  /** From the first write to the last of the image's. */
  writing: number;
  /** From then on until the release has proved good: mostly a start of the machine. */
  proving: number;
}

/** What was seen of one trial. */
export interface Outcome {
  /** What the disk would start right after the cut: the release, and whether it was on trial. */
  left: string;
  /** What came up first, and from where. */
  came: string;
  /** Milliseconds from the work's begin until the new release had proved good. */
  took: number;
}

/** One of many moments of a work that was recorded. */
export interface SeenMoment {
  moment: Moment;
  /** So many requests there are in all. */
  of: number;
  left: string;
  wrong: string[];
}

const durationSchema = z.object({ writing: z.number(), proving: z.number() });
const preparedSchema = z.object({
  kept: z.array(z.tuple([z.string(), z.string()])),
  durations: z.object({ install: durationSchema, update: durationSchema }),
});
/** What is known of the undisturbed works; the last file that `prepare` writes. */
type Prepared = z.infer<typeof preparedSchema>;
const PREPARED = 'prepared.json';

/** The releases of `PowerFleet`: a blade that runs the first is updated to the second, a blank one gets the second. */
const OLD = 1;
const NEW = 2;

const KEPT = 'dd if=/dev/urandom of=/persist/kept bs=1k count=256; sync';
/** In the background, so that the console goes on to answer. */
const UPDATE = '(until bladeroot blade update; do sleep 1; done; reboot) &\n';
const AGENT_WITHIN_MS = 3 * 60_000;
/** Of so many moments one has its store read, which takes as long as all the rest. */
const WHOLE_STORE_EVERY = 4;
/** So long a fault lasts. */
const DISTURBED_MS = 15_000;
/** The last that the small tree shows when it starts. */
const RUNS = /Starting bladeroot in the background/;
const RUNS_WITHIN_MS = 3 * 60_000;

/** The machine as it is before. */
const BEGIN = { install: 'blank', update: 'deployed' } as const satisfies Record<Work, string>;

/** Before the first write. */
const BEGUN: Readonly<Record<Work, (event: RecordedEvent) => boolean>> = {
  install: (event) => event.type === 'blade.step' && event.step === 'disk' && event.state === 'started',
  update: (event) => event.type === 'blade.update' && event.state === 'started',
};

export class Trials {
  readonly durations: Readonly<Record<Work, Duration>>;
  readonly #power: PowerFleet;
  /** What the blade has on `persist` before the work. */
  readonly #kept: Readonly<Record<Work, SeenDisk['kept']>>;

  private constructor(power: PowerFleet, { kept, durations }: Prepared) {
    this.#power = power;
    this.#kept = { install: new Map(), update: new Map(kept) };
    this.durations = durations;
  }

  /** Deploys the blade and updates it, undisturbed, and keeps what trials begin with. */
  static async prepare(power: PowerFleet): Promise<Trials> {
    const { machine } = power;
    await machine.powerOn();
    await machine.waitForConsole(/starting the agent/, { timeoutMs: AGENT_WITHIN_MS });
    await power.freeze(BEGIN.install);

    machine.disk.recordTo = power.file('install.log');
    const install = await measured(
      power,
      async () => await power.thaw(BEGIN.install),
      BEGUN.install,
      isUnpacked,
    );
    assert.deepEqual([install.up.release, install.up.services], [OLD, 'running']);
    await power.say(KEPT);
    await power.publishSecond();
    await power.freeze(BEGIN.update);
    const { kept, wrong, start } = await power.look({ whole: true });
    assert.deepEqual([wrong, start?.release, start?.wasGood], [[], OLD, true]);
    assert.equal(kept.size, 3);

    machine.disk.recordTo = power.file('update.log');
    const begin = async (): Promise<void> => {
      machine.setBootOrder('disk-first');
      await power.thaw(BEGIN.update);
      await machine.type(UPDATE);
    };
    const update = await measured(power, begin, BEGUN.update, isUpdateReady);
    machine.disk.recordTo = undefined;
    const durations = { install: install.duration, update: update.duration };
    const prepared = { kept: [...kept], durations };
    const trials = new Trials(power, prepared);
    await trials.#requireDone(update.up, kept);
    await writeFile(power.file(PREPARED), JSON.stringify(prepared));
    return trials;
  }

  /** With what an earlier run has prepared. */
  static async goOn(power: PowerFleet): Promise<Trials> {
    const prepared = preparedSchema.parse(JSON.parse(await readFile(power.file(PREPARED), 'utf8')));
    return new Trials(power, prepared);
  }

  /** @throws AssertionError that says what was lost */
  async run({ work, cutMs, order }: Trial): Promise<Outcome> {
    const { machine } = this.#power;
    const begun = Date.now();
    await this.#thaw(work, order);
    if (work === 'update') await machine.type(UPDATE);
    await this.#power.told(BEGUN[work]);
    await sleep(cutMs);
    await machine.cut();
    const left = await this.#look(work);
    const first = await this.#power.up(async () => await machine.powerOn());
    if (order === 'disk-first' && left.start !== undefined) {
      const { release, slot } = left.start;
      assert.deepEqual([first.release, first.slot, first.from], [release, slot, 'disk']);
    }
    await this.#finish(first, left.kept);
    const came = `release ${first.release} from ${first.from}`;
    return { left: describeStart(left), came, took: Date.now() - begun };
  }

  /** Has something go wrong while the work is done, and mends it after a while. */
  async disturb(work: Work, fault: Fault, atMs: number): Promise<{ saw: string; took: number }> {
    const power = this.#power;
    const begun = Date.now();
    const failures: string[] = [];
    const stop = power.onEvent((event) => {
      if ('state' in event && event.state === 'failed') failures.push(event.message ?? '');
    });
    let left: SeenDisk | undefined;
    const broken = new Broken(power, fault);
    try {
      const first = await power.up(async () => {
        await this.#thaw(work, fault.power === 'back before it is mended' ? 'disk-first' : 'network-first');
        if (fault.when === 'before') await broken.begin();
        if (work === 'update') await power.machine.type(UPDATE);
        await power.told(BEGUN[work]);
        if (fault.when === 'amid') {
          await sleep(atMs);
          await broken.begin();
        }
        await sleep(DISTURBED_MS);
        if (fault.power === 'stays') return await broken.end();
        await power.machine.cut();
        left = await this.#look(work);
        if (fault.power === 'back when mended') await broken.end();
        await power.machine.powerOn();
        if (fault.power === 'back when mended') return;
        await power.machine.waitForConsole(RUNS, { timeoutMs: RUNS_WITHIN_MS });
        await broken.end();
      });
      await this.#finish(first, left?.kept ?? this.#kept[work]);
    } finally {
      stop();
      await broken.end();
    }
    const said = failures.length === 0 ? 'no step failed' : `failed: ${failures.at(0)}`;
    const saw = left === undefined ? said : `${said}; left ${describeStart(left)}`;
    return { saw, took: Date.now() - begun };
  }

  /** Disks as they would have been at moments of the undisturbed work, in their order. */
  async *replay(work: Work, count: number, random: () => number): AsyncGenerator<SeenMoment> {
    const image = this.#power.file('replayed.disk');
    const replay = await Replay.open(
      this.#power.file(`${work}.log`),
      this.#power.file(`${BEGIN[work]}.disk`),
      image,
    );
    const found = new Map<string, string[]>();
    try {
      for (const [number, moment] of replay.moments(count, random).entries()) {
        const path = this.#power.file('moment.disk');
        const { alike } = await replay.disk(moment, random, path);
        const whole = number % WHOLE_STORE_EVERY === 0;
        const seen = await lookAtDisk(path, { whole, known: { alike, found } });
        const wrong = [...seen.wrong, ...this.#lost(work, seen)];
        yield { moment, of: replay.requests.length, left: describeStart(seen), wrong };
      }
    } finally {
      await replay.close();
    }
  }

  /** @param order of the firmware, when the machine starts anew */
  async #thaw(work: Work, order: Trial['order']): Promise<void> {
    const { machine } = this.#power;
    // A trial that failed may have left it on.
    if (machine.status().power === 'on') await machine.cut();
    machine.setBootOrder(order);
    await this.#power.thaw(BEGIN[work]);
  }

  async #look(work: Work): Promise<SeenDisk> {
    const left = await this.#power.look({ whole: false });
    assert.deepEqual([...left.wrong, ...this.#lost(work, left)], [], 'what is left on the disk');
    return left;
  }

  async #finish(first: Up, kept: SeenDisk['kept']): Promise<void> {
    const { machine } = this.#power;
    const last = first.release === NEW ? first : await this.#power.up(async () => await machine.type(UPDATE));
    await this.#requireDone(last, kept);
  }

  /** A blade that ran before runs afterwards, whatever happens; what it was is not forgotten. */
  #lost(work: Work, { start, kept, choice, state }: SeenDisk): string[] {
    if (work === 'install') return [];
    const lost: string[] = [];
    if (start === undefined) lost.push(`nothing can be started; GRUB has ${JSON.stringify(choice)}`);
    else if (![OLD, NEW].includes(start.release)) lost.push(`release ${start.release} is none of these`);
    if (!Object.values(state?.slots ?? {}).some(({ good }) => good)) lost.push('no slot is known to be good');
    for (const [path, digest] of this.#kept[work]) {
      if (kept.get(path) !== digest) lost.push(`${path} on persist is not what it was`);
    }
    return lost;
  }

  /** The new release runs and has proved good, and so it stands on the disk: the power goes once more, at once. */
  async #requireDone(up: Up, kept: SeenDisk['kept']): Promise<void> {
    assert.deepEqual([up.release, up.services, up.bad], [NEW, 'running', undefined]);
    await this.#power.machine.cut();
    const done = await this.#power.look({ whole: true });
    assert.deepEqual(done.wrong, [], 'at the end');
    assert.deepEqual([done.start?.release, done.start?.wasGood, done.start?.slot], [NEW, true, up.slot]);
    for (const [path, digest] of kept) assert.equal(done.kept.get(path), digest, `persist: ${path}`);
  }
}

/** Something that is broken, and is mended once. */
class Broken {
  readonly #power: PowerFleet;
  readonly #fault: Fault;
  #isBroken = false;

  constructor(power: PowerFleet, fault: Fault) {
    this.#power = power;
    this.#fault = fault;
  }

  async begin(): Promise<void> {
    this.#isBroken = true;
    await this.#fault.begin(this.#power);
  }

  async end(): Promise<void> {
    if (!this.#isBroken) return;
    this.#isBroken = false;
    await this.#fault.end(this.#power);
  }
}

async function measured(
  power: PowerFleet,
  begin: () => Promise<void>,
  isBegun: (event: RecordedEvent) => boolean,
  isWritten: (event: RecordedEvent) => boolean,
): Promise<{ up: Up; duration: Duration }> {
  let [begun, written] = [0, 0];
  const up = await power.up(async () => {
    await begin();
    await power.told(isBegun);
    begun = Date.now();
    await power.told(isWritten);
    written = Date.now();
  });
  return { up, duration: { writing: written - begun, proving: Date.now() - written } };
}

function describeStart({ start }: SeenDisk): string {
  if (start === undefined) return 'nothing';
  return `release ${start.release}${start.isTrial ? ', on trial' : start.wasGood ? '' : ', not proved yet'}`;
}

function isUnpacked(event: RecordedEvent): boolean {
  return event.type === 'blade.step' && event.step === 'switch-root' && event.state === 'started';
}

function isUpdateReady(event: RecordedEvent): boolean {
  return event.type === 'blade.update' && event.state === 'ready';
}
