/** From a verified release to a slot that holds it. */
import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import {
  freeSlot,
  readBladeState,
  requireNotOlder,
  slotWith,
  writeBladeState,
  type BladeState,
  type Slot,
} from '../blade/state.ts';
import { describeError } from '../errors.ts';
import type { DiskPlan } from '../disks/plan.ts';
import { fstabOf } from '../disks/fstab.ts';
import { PARTITIONS } from '../fleet/layout.ts';
import type { Machine } from '../fleet/machine.ts';
import { releaseLayout } from '../release/statement.ts';
import { writePublicKey } from '../release/keys.ts';
import { ReleaseRepository, type SignedRelease } from '../release/repository.ts';
import type { Identity } from '../secrets/identity-file.ts';
import { fetchBlob } from '../store/fetch.ts';
import type { Source } from '../store/source.ts';
import { Store } from '../store/store.ts';
import { run } from '../system/run.ts';
import { attempt } from './attempt.ts';
import { sayHello } from './await-adoption.ts';
import { configure } from './configure.ts';
import { inspectDisks } from './disks.ts';
import { fetchImage } from './fetch-image.ts';
import { makeFileSystem } from './file-systems.ts';
import type { FoundRelease } from './find-release.ts';
import { describeIdentity, keepIdentity } from './identity.ts';
import { fetchSecrets } from './lay-secrets.ts';
import { layOutDisk, type BladeDisk } from './lay-out.ts';
import { mountOnce, unmountIfMounted } from './mounts.ts';
import type { Reporter } from './reporter.ts';

/** Where the persistent partition is mounted. */
export const PERSIST = '/persist';
/** Where `/init` expects the root filesystem to switch to. */
export const SLOT_MOUNT = '/sysroot';
/** What the blade has as /var/lib/bladeroot once it runs. */
const STATE = join(PERSIST, 'bladeroot');

export interface BootRequest extends FoundRelease {
  /** The release that the blade is to run: `release`, or the older one to which that pins it. */
  toRun: SignedRelease;
  /** Install even where a slot holds the release already: somebody does not trust what is in it. */
  deploy: boolean;
  publicKey: KeyObject;
  source: Source;
  reporter: Reporter;
  machine: Machine;
  /** What the machine was found to have, or has made, before its disk was laid out. */
  identity: Identity;
}

export interface InstallRequest extends BootRequest {
  /** What becomes of the disks. */
  plan: DiskPlan;
}

/**
 * Lays out the disk if it has to be, and brings the release into the free slot if no slot holds it yet, or when it is
 * to be deployed again: the slot is made and unpacked from nothing, each object checked by its SHA-256.
 * @returns the device of the slot that is to be started
 */
export async function install(request: InstallRequest): Promise<string> {
  const { reporter } = request;
  const disk = await attempt('disk', reporter, () => prepareDisk(request));
  const identity = await attempt('disk', reporter, () => keepIdentity(STATE, request.identity));
  await introduce(request, identity);
  const state = await readBladeState(STATE);
  requireNotOlder(state, request.release.statement.sequence, request.root);
  const { sequence } = request.toRun.statement;
  const ready = request.deploy ? undefined : slotWith(state, sequence);
  if (ready !== undefined) {
    reporter.done('fetch', `slot ${ready} holds release ${sequence} already`);
    await record(request, state, {});
    await run('umount', [PERSIST]);
    return disk[ready];
  }
  const slot = freeSlot(state);
  await forget(state, slot);
  await attempt('fetch', reporter, () => fillSlot(request, disk, slot));
  await attempt('configure', reporter, () => configureSlot(request, disk, slot, identity));
  reporter.started('switch-root', `writing slot ${slot} to the disk`);
  // What is in blade.json is on the disk: the slot is flushed by being unmounted before it is written down.
  await run('umount', [SLOT_MOUNT]);
  const installed = new Date().toISOString();
  await record(request, state, { [slot]: { release: sequence, installed, good: false } });
  await run('umount', [PERSIST]);
  return disk[slot];
}

async function prepareDisk({ plan, reporter }: InstallRequest): Promise<BladeDisk> {
  const { path } = plan.disk;
  if (plan.loses.length > 0) reporter.say(`wiping ${path}, as the release allows: ${plan.loses.join(', ')}`);
  if (plan.action === 'keep') reporter.started('disk', `looking at ${path}`);
  else reporter.started('disk', plan.action === 'change' ? `changing ${path}` : `laying out ${path}`);
  const disk = await layOutDisk(plan, (line) => reporter.say(line));
  await mountOnce(disk.persist, PERSIST);
  reporter.done('disk', `${path} is laid out`);
  return disk;
}

async function fillSlot(request: InstallRequest, disk: BladeDisk, slot: Slot): Promise<void> {
  const { release, toRun, publicKey, source, reporter } = request;
  reporter.started(
    'fetch',
    `unpacking release ${toRun.statement.sequence} into slot ${slot} (${disk[slot]})`,
  );
  await unmountIfMounted(SLOT_MOUNT);
  await makeFileSystem('ext4', disk[slot], PARTITIONS[slot]);
  await mountOnce(disk[slot], SLOT_MOUNT);
  const mirror = await Store.open(join(STATE, 'store'));
  await fetchImage({ release, toRun, publicKey, source, mirror, directory: SLOT_MOUNT, reporter });
  reporter.done('fetch', 'the image is unpacked');
}

async function configureSlot(
  request: InstallRequest,
  disk: BladeDisk,
  slot: Slot,
  identity: Identity,
): Promise<void> {
  const { blade, reporter, source } = request;
  const secrets = await fetchSecrets(source, blade, identity);
  reporter.started('configure', `making it ${blade.name}`);
  await configure({
    directory: SLOT_MOUNT,
    mounts: fstabOf(disk.partitions, releaseLayout(blade), slot),
    overlay: await fetchBlob(source, blade.overlay.digest, blade.overlay.bytes),
    secrets,
    identity,
    mac: request.machine.mac,
    identityDirectory: join(STATE, 'identity'),
  });
  tellConfigured(request, identity, secrets);
}

/** @param secrets what it has got of those that there are for the blade */
export function tellConfigured(
  { blade, reporter }: Pick<BootRequest, 'blade' | 'reporter'>,
  { recipient }: Pick<Identity, 'recipient'>,
  secrets: Uint8Array | undefined,
): void {
  if ((secrets === undefined) === (blade.secrets === undefined)) reporter.done('configure');
  else reporter.done('configure', `without secrets: ${describeIdentity(blade, recipient)}`);
}

/** Shows who this machine is, and tells the root, which may have to accept it: once the identity is on the disk. */
export async function introduce(
  { root, blade, machine, reporter }: BootRequest,
  identity: Identity,
): Promise<void> {
  const { recipient } = identity;
  reporter.say(describeIdentity(blade, recipient));
  // As they are now, for `blade disks`.
  const disks = await inspectDisks();
  await sayHello(root, { ...machine, disks, recipient }).catch((error: unknown) =>
    // It can be installed all the same.
    reporter.say(`the root did not hear who this is: ${describeError(error)}`),
  );
}

/** A slot that is about to be written holds no release any more, should the power fail. */
async function forget(state: BladeState | undefined, slot: Slot): Promise<void> {
  if (state?.slots[slot] === undefined) return;
  delete state.slots[slot];
  await writeBladeState(STATE, state);
}

/** @param installed what is new in the slots; nothing where a slot holds the release already */
async function record(
  request: InstallRequest,
  state: BladeState | undefined,
  installed: BladeState['slots'],
): Promise<void> {
  const { release, toRun, root, blade, publicKey } = request;
  await writePublicKey(STATE, publicKey);
  // What has a name is whole: that a newer release pins it is kept once all of that release is here.
  const releases = new ReleaseRepository(STATE, publicKey);
  if (Object.keys(installed).length > 0) for (const one of new Set([toRun, release])) await releases.put(one);
  await writeBladeState(STATE, {
    name: blade.name,
    roots: [root, ...(state?.roots ?? []).filter((known) => known !== root)].slice(0, 8),
    newest: release.statement.sequence,
    slots: { ...state?.slots, ...installed },
  });
}
