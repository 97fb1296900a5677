/**
 * A running blade brings its other slot to the release that it is to run. It may be ended at any moment, by a signal or by a
 * power cut: what runs and what starts next is whole all the time, and the next time goes on where this one was.
 */
import { open } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { fstabOf } from '../disks/fstab.ts';
import { BladerootError, describeError } from '../errors.ts';
import type { SnapshotStatement } from '../image/statement.ts';
import { fetchPinned } from '../release/pin.ts';
import { ReleaseRepository, type SignedRelease } from '../release/repository.ts';
import { fetchSnapshot } from '../release/snapshots.ts';
import { releaseLayout, releaseSnapshots, releaseToRun, type ReleaseBlade } from '../release/statement.ts';
import { readBladeIdentity } from '../secrets/identity-file.ts';
import { configure } from '../slot/configure.ts';
import { fetchRest } from '../slot/fetch-image.ts';
import { fillSlot, type FillRequest } from '../slot/fill.ts';
import { fetchSecrets } from '../slot/lay-secrets.ts';
import { flushAndUnmount, unmountIfMounted } from '../slot/mounts.ts';
import { PARTITIONS } from '../fleet/layout.ts';
import { fetchBlob } from '../store/fetch.ts';
import { openSources } from '../store/open-source.ts';
import type { Source } from '../store/source.ts';
import { Store } from '../store/store.ts';
import { tryLock } from '../system/posix.ts';
import { dropOld } from './drop-old.ts';
import { placeKernel, tryNext, withdrawSlot, writeChoice } from './grub/esp.ts';
import { lookForUpdate, type FoundUpdate, type LookOptions } from './look-for-update.ts';
import { requireRoom } from './room.ts';
import { readBladeState, writeBladeState, type BladeState, type Slot } from './state.ts';
import { forgiven } from './trial.ts';
import type { UpdatePlan } from './update-plan.ts';

export interface UpdateOptions extends LookOptions {
  /** Where the running slot is mounted. */
  runningDirectory: string;
  /** The partitions of the slots. */
  devices: Readonly<Record<Slot, string>>;
  /** What is on their disk. */
  partitions: readonly { name: string; uuid: string }[];
  /** The UUID of the mirror that they are on, where they are. */
  mirror?: string | undefined;
  /** Where the other slot is mounted meanwhile. */
  mountPoint: string;
  /** What is being done, in words. */
  onStep(step: string): void;
  /** Has a slot been begun, or is it ready: told to whoever is root. */
  onState(state: UpdateState): Promise<void>;
}

export interface UpdateState {
  state: 'started' | 'ready' | 'failed';
  release: number;
  slot: Slot;
  roots: readonly string[];
  message: string;
}

export type UpdateResult = { updated: true; release: number; slot: Slot } | { updated: false; why: string };

/**
 * @throws BladerootError `NOT_A_BLADE`, `UPDATE_RUNS`, `NO_ROOT`, `RELEASE_OLDER`, `NOT_IN_RELEASE`, `NO_ROOM`, and what
 * fetching and writing throws: the slot is not started then
 */
export async function updateBlade(options: UpdateOptions): Promise<UpdateResult> {
  const { stateDirectory } = options;
  const unlock = await lockUpdates(stateDirectory);
  try {
    return await new Update(options, await lookForUpdate(options)).run();
  } finally {
    await unlock();
  }
}

/** One at a time; it goes with this process, however that ends. */
async function lockUpdates(stateDirectory: string): Promise<() => Promise<void>> {
  const file = await open(join(stateDirectory, 'update.lock'), 'a');
  if (tryLock(file.fd, 'exclusive')) return async () => await file.close();
  await file.close();
  throw new BladerootError('UPDATE_RUNS', 'this blade is being updated already', {
    hint: '`journalctl -u bladeroot` shows how far it is',
  });
}

/** What is to be brought into which slot, and from where. */
interface Task {
  slot: Slot;
  blade: ReleaseBlade;
  release: SignedRelease;
  toRun: SignedRelease;
  roots: readonly string[];
  source: Source;
  store: Store;
}

class Update {
  readonly #options: UpdateOptions;
  readonly #found: FoundUpdate;
  readonly #releases: ReleaseRepository;

  constructor(options: UpdateOptions, found: FoundUpdate) {
    this.#options = options;
    this.#found = found;
    this.#releases = new ReleaseRepository(options.stateDirectory, found.publicKey);
  }

  async run(): Promise<UpdateResult> {
    const { plan, release, blade, roots, publicKey } = this.#found;
    const store = await Store.open(join(this.#options.stateDirectory, 'store'));
    switch (plan.action) {
      case 'wait':
        return { updated: false, why: plan.why };
      case 'nothing':
        await this.#dropOld({ store });
        return { updated: false, why: plan.why };
      case 'switch':
        return await this.#start(plan);
      case 'prepare':
    }
    const source = openSources(roots.map((root) => `${root}/store`));
    try {
      const toRun = blade.pin === undefined ? release : await fetchPinned(source, blade.pin, publicKey);
      await this.#prepare({ slot: plan.slot, blade, release, toRun, roots, source, store });
      return { updated: true, release: toRun.statement.sequence, slot: plan.slot };
    } finally {
      source.close?.();
    }
  }

  /** A slot holds the release already. */
  async #start({ slot, choice }: UpdatePlan & { action: 'switch' }): Promise<UpdateResult> {
    const { release: newest, blade, roots } = this.#found;
    const { esp, onState } = this.#options;
    const release = releaseToRun(newest.statement, blade);
    await writeChoice(esp, choice);
    const message = `release ${release} is in slot ${slot} already, and the next start takes it`;
    await onState({ state: 'ready', release, slot, roots, message });
    return { updated: true, release, slot };
  }

  async #prepare(task: Task): Promise<void> {
    const { slot, toRun, roots } = task;
    const { onState, mountPoint, signal } = this.#options;
    const release = toRun.statement.sequence;
    const tell = async (state: UpdateState['state'], message: string): Promise<void> =>
      await onState({ state, release, slot, roots, message });
    await tell('started', `bringing slot ${slot} to release ${release}`);
    try {
      await this.#requireRoom(task);
      await this.#fill(task);
      await this.#switchTo(task);
    } catch (error) {
      await unmountIfMounted(mountPoint);
      if (!signal.aborted) await tell('failed', describeError(error));
      throw error;
    }
    await this.#dropOld({ store: task.store });
    await tell('ready', `release ${release} is in slot ${slot}, and the next start tries it`);
  }

  async #requireRoom({ release, toRun, source, store }: Task): Promise<void> {
    const ids = [toRun.statement.snapshot, ...releaseSnapshots(release.statement)].map(({ id }) => id);
    const snapshots: SnapshotStatement[] = [];
    for (const id of new Set(ids)) {
      snapshots.push((await fetchSnapshot(source, id, this.#found.publicKey)).statement);
    }
    const releases = [release, toRun];
    await requireRoom({ store, releases, snapshots }, async () => {
      await this.#dropOld({ store, coming: { releases, snapshots } });
    });
  }

  async #fill(task: Task): Promise<void> {
    const { slot, blade, release, toRun, source, store } = task;
    const {
      stateDirectory,
      running,
      runningDirectory,
      devices,
      partitions,
      mountPoint,
      esp,
      deploy,
      signal,
      onStep,
    } = this.#options;
    await withdrawSlot(esp, slot, running, async () => {
      await this.#changeState((state) => {
        const { [slot]: _withdrawn, ...slots } = state.slots;
        return { ...state, slots };
      });
    });
    const request: FillRequest = {
      release,
      toRun,
      publicKey: this.#found.publicKey,
      source,
      mirror: store,
      directory: mountPoint,
      beside: runningDirectory,
      device: devices[slot],
      label: PARTITIONS[slot],
      fresh: deploy,
      say: onStep,
      signal,
    };
    await fillSlot(request);
    await fetchRest(request);
    const identity = await readBladeIdentity(stateDirectory);
    await configure({
      directory: mountPoint,
      mounts: fstabOf(partitions, releaseLayout(blade), slot),
      overlay: await fetchBlob(source, blade.overlay.digest, blade.overlay.bytes, { signal }),
      secrets: identity && (await fetchSecrets(source, blade, identity)),
      identity: identity ?? { secret: '' },
      mac: blade.mac ?? cardWith(blade.address),
      identityDirectory: join(stateDirectory, 'identity'),
    });
    // What is written down of a slot is on the disk.
    await flushAndUnmount(mountPoint);
  }

  async #switchTo({ slot, blade, release, toRun, roots, store }: Task): Promise<void> {
    const { esp, partitions, mirror } = this.#options;
    const { kernelArgs } = blade;
    const { sequence } = toRun.statement;
    const partition = partitions.find(({ name }) => name === PARTITIONS[slot])?.uuid;
    await placeKernel({ esp, store, slot, release: toRun.statement, kernelArgs, partition, mirror });
    for (const one of new Set([toRun, release])) await this.#releases.put(one);
    const installed = { release: sequence, installed: new Date().toISOString(), good: false };
    await this.#changeState((state) => ({
      // Somebody has asked for it, if it was bad before.
      ...forgiven(state, sequence),
      newest: release.statement.sequence,
      roots: [...new Set([...roots, ...state.roots])].slice(0, 8),
      slots: { ...state.slots, [slot]: installed },
    }));
    await tryNext(esp, slot);
  }

  /** As it is now: others write there, too. */
  async #changeState(change: (state: BladeState) => BladeState): Promise<void> {
    const { stateDirectory } = this.#options;
    const state = (await readBladeState(stateDirectory)) ?? this.#found.state;
    await writeBladeState(stateDirectory, change(state));
  }

  async #dropOld(what: Pick<Parameters<typeof dropOld>[0], 'store' | 'coming'>): Promise<void> {
    const { stateDirectory, signal, onStep } = this.#options;
    const { newest, slots } = (await readBladeState(stateDirectory)) ?? this.#found.state;
    const needed = [newest ?? 0, ...Object.values(slots).map(({ release }) => release)];
    const options = {
      ...what,
      stateDirectory,
      releases: this.#releases,
      publicKey: this.#found.publicKey,
      signal,
    };
    try {
      await dropOld({ ...options, needed });
    } catch (error) {
      signal.throwIfAborted();
      // The blade has more than it needs: that stops nothing.
      onStep(`old releases stay: ${describeError(error)}`);
    }
  }
}

/** The MAC of the card that has an address; empty where none has. */
function cardWith(address: string): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find((each) => each.address === address)?.mac ?? '';
}
