/** For tests: a blade with release 1 of a fleet in slot a, which is running, on loop devices; and its update. */
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fstabOf } from '../disks/fstab.ts';
import { writePublicKey } from '../release/keys.ts';
import { ReleaseRepository } from '../release/repository.ts';
import { releaseLayout } from '../release/statement.ts';
import { newIdentity, writeIdentity, BLADE_IDENTITY } from '../secrets/identity-file.ts';
import { configure } from '../slot/configure.ts';
import { fetchRest } from '../slot/fetch-image.ts';
import { fillSlot } from '../slot/fill.ts';
import { mountOnce, unmountIfMounted } from '../slot/mounts.ts';
import { PARTITIONS } from '../fleet/layout.ts';
import { loopDevice, scratch, TestFleet } from '../slot/slots.fixture.ts';
import { DirectorySource } from '../store/directory-source.ts';
import { Store } from '../store/store.ts';
import { markGood, placeKernel } from './grub/esp.ts';
import { writeBladeState } from './state.ts';
import type { UpdateOptions, UpdateState } from './update.ts';

const SLOT_BYTES = 64 * 1024 ** 2;

/** What a process needs to know to update the blade. */
export interface BladePlaces {
  stateDirectory: string;
  runningDirectory: string;
  devices: { a: string; b: string };
  mountPoint: string;
  esp: string;
}

export interface UpdatedBlade {
  base: string;
  fleet: TestFleet;
  url: string;
  places: BladePlaces;
  told: UpdateState[];
  options(changes?: Partial<UpdateOptions>): UpdateOptions;
}

/** @param stateDirectory where it is not just a directory */
export async function makeBlade(t: TestContext, stateDirectory?: string): Promise<UpdatedBlade> {
  const base = await scratch(t);
  const fleet = await TestFleet.make(base);
  const release = await fleet.publish();
  const url = await fleet.serve(t);
  const places: BladePlaces = {
    stateDirectory: stateDirectory ?? join(base, 'state'),
    runningDirectory: join(base, 'running'),
    devices: {
      a: await loopDevice(t, join(base, 'a.img'), SLOT_BYTES),
      b: await loopDevice(t, join(base, 'b.img'), SLOT_BYTES),
    },
    mountPoint: join(base, 'slot'),
    esp: join(base, 'esp'),
  };
  await install(fleet, places);
  const state = { name: 'web01', roots: [url], newest: release.statement.sequence };
  const installed = '2026-01-02T03:04:05.000Z';
  await writeBladeState(places.stateDirectory, {
    ...state,
    slots: { a: { release: 1, installed, good: true } },
  });
  const told: UpdateState[] = [];
  return {
    base,
    fleet,
    url,
    places,
    told,
    options: (changes = {}) => ({
      ...places,
      running: 'a',
      partitions: [],
      port: 9,
      deploy: false,
      signal: new AbortController().signal,
      onStep: () => undefined,
      onState: async (each) => void told.push(each),
      ...changes,
    }),
  };
}

/** What the agent and the running blade leave of release 1 in slot a. */
async function install(
  fleet: TestFleet,
  { stateDirectory, devices, esp, runningDirectory }: BladePlaces,
): Promise<void> {
  const { current, store, keys } = fleet;
  assert.ok(current !== undefined);
  const blade = current.statement.blades[0];
  assert.ok(blade !== undefined);
  await mkdir(esp, { recursive: true });
  await writePublicKey(stateDirectory, keys.publicKey);
  await writeIdentity(join(stateDirectory, BLADE_IDENTITY), await newIdentity());
  const mirror = await Store.open(join(stateDirectory, 'store'));
  const source = new DirectorySource(store.directory);
  const { publicKey } = keys;
  const request = {
    release: current,
    toRun: current,
    publicKey,
    source,
    mirror,
    directory: runningDirectory,
  };
  const device = { device: devices.a, label: PARTITIONS.a, fresh: true, say: () => undefined };
  await fillSlot({ ...request, ...device });
  await fetchRest(request);
  await configure({
    directory: runningDirectory,
    mounts: fstabOf([], releaseLayout(blade), 'a'),
    overlay: await readFile(store.blobPath(blade.overlay.digest)),
    secrets: undefined,
    identity: { secret: '' },
    mac: '52:54:00:77:00:11',
    identityDirectory: join(stateDirectory, 'identity'),
  });
  await unmountIfMounted(runningDirectory);
  // As it runs, but that nothing of the blade's own writes to it.
  await mountOnce(devices.a, runningDirectory, { options: 'ro' });
  await new ReleaseRepository(stateDirectory, publicKey).put(current);
  const kernelArgs = blade.kernelArgs;
  await placeKernel({
    esp,
    store: mirror,
    slot: 'a',
    release: current.statement,
    kernelArgs,
    partition: undefined,
  });
  await markGood(esp, 'a');
}
