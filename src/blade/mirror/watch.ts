/** Keeps the mirror of a running blade whole: tells how it is, and takes a disk that comes in the place of one that is gone. */
import { basename } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { planDisks } from '../../disks/plan.ts';
import { listed } from '../../disks/wording.ts';
import { describeError } from '../../errors.ts';
import type { Layout } from '../../fleet/layout.ts';
import { disksIn } from '../../storage/block-devices.ts';
import { inspectDisks } from '../../storage/inspect.ts';
import { layOutMirror } from '../../storage/lay-out.ts';
import { failedHalves, halvesOf, type RunningMirror } from '../../storage/mirror.ts';
import { readIfThere } from '../../system/read-file.ts';
import { ownMirror } from '../boot-areas.ts';
import { mirrorState, type MirrorFacts, type MirrorState } from './state.ts';

/** Between two looks, in milliseconds: a few reads of sysfs. */
const EVERY_MS = 5000;
/** How long disks that were no use are not looked at again, unless others have come. */
const LOOK_AGAIN_MS = 10 * 60_000;

export interface WatchMirrorOptions {
  /** By which the mirror was laid out. */
  layout: Layout;
  signal: AbortSignal;
  onStep(step: string): void;
  /** To whoever is root. @throws when nobody hears */
  tell(state: MirrorState): Promise<void>;
  /** Puts all that the blade starts from on every disk of the mirror. */
  makeBootable(): Promise<void>;
}

/** What was looked at last for a disk that could be the missing half. */
interface LastLook {
  /** The disks that there were, in milliseconds of the monotonic clock when, and why none was taken. */
  disks: string;
  at: number;
  lacks: string | undefined;
}

/** Goes on until it is aborted; ends at once on a blade without a mirror, and throws nothing. */
export async function watchMirror(options: WatchMirrorOptions): Promise<void> {
  const { signal, onStep } = options;
  let watch: MirrorWatch | undefined;
  let said = '';
  while (!signal.aborted) {
    try {
      if (watch === undefined) {
        const mirror = await ownMirror();
        if (mirror === undefined) return;
        watch = new MirrorWatch(mirror, options);
      }
      await watch.look();
      said = '';
    } catch (error) {
      const why = describeError(error);
      if (why !== said && !signal.aborted) onStep(`the mirror: ${why}`);
      said = why;
    }
    await wait(EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}

class MirrorWatch {
  readonly #mirror: RunningMirror;
  readonly #options: WatchMirrorOptions;
  #said: MirrorState | undefined;
  #told: MirrorState | undefined;
  #last: LastLook | undefined;
  /** The halves on whose disks is all that the blade starts from. */
  #bootable: readonly string[];

  constructor(mirror: RunningMirror, options: WatchMirrorOptions) {
    this.#mirror = mirror;
    this.#options = options;
    this.#bootable = mirror.halves;
  }

  async look(): Promise<void> {
    const { onStep, tell, makeBootable } = this.#options;
    const state = await this.#keepWhole();
    // A half may also have come back by itself, with what its disk was started from before.
    const { halves } = await this.#facts();
    if (halves.some((half) => !this.#bootable.includes(half))) await makeBootable();
    this.#bootable = halves;
    if (!isDeepStrictEqual(state, this.#said)) onStep(state.message);
    this.#said = state;
    if (isDeepStrictEqual(state, this.#told)) return;
    await tell(state);
    this.#told = state;
  }

  /** @returns how it is, after what could be done for it */
  async #keepWhole(): Promise<MirrorState> {
    const facts = await this.#facts();
    const before = mirrorState(facts);
    if (before.state !== 'degraded') {
      this.#last = undefined;
      return before;
    }
    const lacks = await this.#addHalf(facts);
    return mirrorState(await this.#facts(), lacks);
  }

  async #facts(): Promise<MirrorFacts> {
    const { device } = this.#mirror;
    const read = async (name: string): Promise<string> =>
      ((await readIfThere(`/sys/block/${basename(device)}/md/${name}`)) ?? '').trim();
    return {
      degraded: Number(await read('degraded')),
      syncAction: await read('sync_action'),
      halves: await halvesOf(device),
      failed: await failedHalves(device),
    };
  }

  /**
   * As the agent would do it at the next boot from the network; the mirror itself stays divided as it is. A disk that the
   * kernel has given up is not taken again before the next start.
   * @returns why no half was added; undefined when one was
   */
  async #addHalf({ failed }: MirrorFacts): Promise<string | undefined> {
    const there = JSON.stringify(await disksIn('/sys/block'));
    const now = performance.now();
    const last = this.#last;
    if (last !== undefined && last.disks === there && now - last.at < LOOK_AGAIN_MS) return last.lacks;
    const lacks = await this.#tryToAdd(failed);
    this.#last = { disks: there, at: now, lacks };
    return lacks;
  }

  async #tryToAdd(failed: readonly string[]): Promise<string | undefined> {
    const { layout, onStep } = this.#options;
    const disks = await inspectDisks();
    const usable = disks.filter(
      ({ contents }) => !contents.partitions.some(({ path }) => failed.includes(path)),
    );
    const plan = planDisks(usable, layout, 0);
    if (plan.action === 'refuse') return plan.reasons.join('; ');
    const { mirror } = plan;
    const joining = mirror?.halves.filter(({ joins }) => joins) ?? [];
    if (mirror === undefined || joining.length === 0) return mirror?.lacks;
    onStep(`taking ${listed(joining.map(({ disk }) => disk.path))} into the mirror`);
    await layOutMirror(plan, { ...mirror, halves: joining }, onStep);
    return undefined;
  }
}
