/** The tests with which power and more is taken from a blade, as often as it is asked for. */
import assert from 'node:assert/strict';
import { appendFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import type { Fault } from './faults.ts';
import { PowerFleet } from './power-fleet.ts';
import { randomFrom } from './random.ts';
import { Trials, type Duration, type Trial, type Work } from './trials.ts';

export interface PowerRun {
  /** Of the lab's folder. */
  name: string;
  seed: number;
  /**
   * Cuts of a running machine: the number of the first, and how many, of each work. A run that does not begin with 0 goes on
   * with the machine that an earlier one has prepared.
   */
  trials: { works: readonly Work[]; first: number; count: number };
  /** Disks made of what was recorded, of install and of update each. */
  moments: number;
  faults: readonly { fault: Fault; work: Work }[];
}

/** Of the trials, the share that is cut while the release is written; the others while it has to prove good. */
const WHILE_WRITING = 0.75;
export const WORKS = ['update', 'install'] as const satisfies Work[];

export function powerTests({ name, seed, trials: asked, moments, faults }: PowerRun): void {
  let power: PowerFleet;
  let trials: Trials;

  /** Kept beside the lab as well, as a long run is made of several. */
  const say = async (what: string): Promise<void> => {
    process.stderr.write(`${what}\n`);
    await appendFile(power.file('seen.log'), `${new Date().toISOString()} seed ${seed}: ${what}\n`);
  };

  before(async () => {
    process.stderr.write(`seed ${seed}: BLADEROOT_SEED=${seed} does it again\n`);
    const goOn = asked.first > 0;
    power = await PowerFleet.create(name, { goOn });
    trials = goOn ? await Trials.goOn(power) : await Trials.prepare(power);
    for (const work of WORKS) await say(`${work} undisturbed: ${describeDuration(trials.durations[work])}`);
  });

  after(async () => await power?.down());

  for (let number = asked.first; number < asked.first + asked.count; number++) {
    for (const work of asked.works) {
      test(`${work} ${number}: after a cut at a random moment a whole release comes up, and the work is finished`, async () => {
        const trial = trialOf(work, trials.durations[work], seed, number);
        const what = `${work} ${number}: cut ${seconds(trial.cutMs)} after its begin, then ${trial.order}`;
        await say(what);
        const { left, came, took } = await trials.run(trial);
        await say(`${what}: left ${left}; came ${came}; finished after ${seconds(took)}`);
      });
    }
  }

  for (const work of WORKS) {
    if (moments === 0) break;
    test(`${work}: ${moments} moments of what it wrote, with any part of what was not flushed`, async () => {
      const counts = new Map<string, number>();
      let number = 0;
      for await (const { moment, of, left, wrong } of trials.replay(work, moments, randomFrom(seed))) {
        assert.deepEqual(wrong, [], `moment ${number} of seed ${seed}: ${JSON.stringify(moment)} of ${of}`);
        counts.set(left, (counts.get(left) ?? 0) + 1);
        number++;
      }
      const table = [...counts].map(([left, count]) => `${count} left ${left}`).join('; ');
      await say(`${work}: ${number} moments: ${table}`);
      assert.equal(number, moments);
    });
  }

  for (const [number, { fault, work }] of faults.entries()) {
    test(`${work}, and ${fault.name}: what ran comes up, and once that is mended the work is finished`, async () => {
      const share = randomFrom(seed + number)();
      const atMs = share * trials.durations[work].writing;
      const what = `${work}, ${seconds(atMs)} after its begin ${fault.name}`;
      await say(what);
      const { saw, took } = await trials.disturb(work, fault, atMs);
      await say(`${what}: ${saw}; finished after ${seconds(took)}`);
    });
  }
}

/** The same for the same seed and number, as shares of the time that the work takes here. */
function trialOf(work: Work, { writing, proving }: Duration, seed: number, number: number): Trial {
  const random = randomFrom(seed + 2 * number + (work === 'install' ? 1 : 0));
  const isWriting = random() < WHILE_WRITING;
  const share = random();
  const cutMs = isWriting ? share * writing : writing + share * proving;
  return { work, cutMs, order: random() < 0.5 ? 'network-first' : 'disk-first' };
}

function describeDuration({ writing, proving }: Duration): string {
  return `${seconds(writing)} until it is written, ${seconds(proving)} more until it has proved good`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
