/** From a verified release to a slot that holds it. */
import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { withdrawSlot } from '../blade/grub/esp.ts';
import {
  freeSlot,
  readBladeState,
  requireNotOlder,
  writeBladeState,
  type BladeState,
  type Slot,
} from '../blade/state.ts';
import { agentStart, forgiven, goodSlot, otherSlot } from '../blade/trial.ts';
import { describeError, errorCode } from '../errors.ts';
import { fstabOf } from '../disks/fstab.ts';
import type { DiskPlan, MirrorPlan } from '../disks/plan.ts';
import { listed } from '../disks/wording.ts';
import type { Machine } from '../fleet/machine.ts';
import { writePublicKey } from '../release/keys.ts';
import { ReleaseRepository, type SignedRelease } from '../release/repository.ts';
import { releaseLayout } from '../release/statement.ts';
import type { Identity } from '../secrets/identity-file.ts';
import { configure } from '../slot/configure.ts';
import { fetchRest } from '../slot/fetch-image.ts';
import { fillSlot } from '../slot/fill.ts';
import { fetchSecrets } from '../slot/lay-secrets.ts';
import { flushAndUnmount, mountOnce, unmountIfMounted } from '../slot/mounts.ts';
import { PARTITIONS } from '../fleet/layout.ts';
import { fetchBlob } from '../store/fetch.ts';
import type { Source } from '../store/source.ts';
import { Store } from '../store/store.ts';
import { run } from '../system/run.ts';
import { attempt } from './attempt.ts';
import { sayHello } from './await-adoption.ts';
import { inspectDisks } from '../storage/inspect.ts';
import type { FoundRelease } from './find-release.ts';
import { describeIdentity, keepIdentity } from './identity.ts';
import { layOutDisk, type BladeDisk } from '../storage/lay-out.ts';
import type { Reporter } from './reporter.ts';

/** Where the persistent partition is mounted. */
export const PERSIST = '/persist';
/** Where `/init` expects the root filesystem to switch to. */
export const SLOT_MOUNT = '/sysroot';
const ESP_MOUNTS = '/run/bladeroot/esps';
/** Where the other slot is, read-only, while one is filled. */
const BESIDE_MOUNT = '/run/bladeroot/beside';
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
 * to be deployed again: then the slot is made and unpacked from nothing, else what is right in it stays.
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
  const start = request.deploy ? undefined : agentStart(state, sequence, now());
  if (start !== undefined) {
    const { slot, bad } = start;
    const held = `slot ${slot} holds release ${start.state.slots[slot]?.release}`;
    const why = bad && `release ${sequence} was bad here (${bad.reason}), and that one is good`;
    reporter.done('fetch', why === undefined ? `${held} already` : `${held}: ${why}`);
    await record(request, start.state, {});
    await run('umount', [PERSIST]);
    return disk[slot];
  }
  const slot = freeSlot(state);
  await attempt('disk', reporter, () => withdraw(state, disk, slot));
  await attempt('fetch', reporter, () => fetchIntoSlot(request, disk, slot));
  await attempt('configure', reporter, () => configureSlot(request, disk, slot, identity));
  reporter.started('switch-root', `writing slot ${slot} to the disk`);
  // What is in blade.json is on the disk.
  await flushAndUnmount(SLOT_MOUNT);
  const installed = { release: sequence, installed: now(), good: false, starts: 1 };
  await record(request, state && forgiven(state, sequence), { [slot]: installed });
  await run('umount', [PERSIST]);
  return disk[slot];
}

function now(): string {
  return new Date().toISOString();
}

async function prepareDisk({ plan, reporter }: InstallRequest): Promise<BladeDisk> {
  const path = plan.mirror === undefined ? plan.disk.path : mirrorText(plan.mirror);
  if (plan.loses.length > 0) reporter.say(`wiping ${path}, as the release allows: ${plan.loses.join(', ')}`);
  if (plan.action === 'keep') reporter.started('disk', `looking at ${path}`);
  else reporter.started('disk', plan.action === 'change' ? `changing ${path}` : `laying out ${path}`);
  const disk = await layOutDisk(plan, (line) => reporter.say(line));
  await mountOnce(disk.persist, PERSIST);
  reporter.done('disk', `${path} is laid out`);
  return disk;
}

function mirrorText({ halves, lacks }: MirrorPlan): string {
  const text = `the mirror on ${listed(halves.map(({ disk }) => disk.path))}`;
  return lacks === undefined ? text : `${text}, which lacks its other half (${lacks}),`;
}

async function fetchIntoSlot(request: InstallRequest, disk: BladeDisk, slot: Slot): Promise<void> {
  const { release, toRun, publicKey, source, reporter } = request;
  reporter.started(
    'fetch',
    `unpacking release ${toRun.statement.sequence} into slot ${slot} (${disk[slot]})`,
  );
  const beside = await mountBeside(disk, slot);
  const fill = {
    release,
    toRun,
    publicKey,
    source,
    mirror: await Store.open(join(STATE, 'store')),
    device: disk[slot],
    label: PARTITIONS[slot],
    directory: SLOT_MOUNT,
    beside,
    fresh: request.deploy,
    say: (what: string) => reporter.say(what),
    onProgress: (done: number, total: number, rate: number) => reporter.progress('fetch', done, total, rate),
  };
  await fillSlot(fill);
  await unmountIfMounted(BESIDE_MOUNT);
  await fetchRest(fill);
  reporter.done('fetch', 'the image is unpacked');
}

/** The other slot, as it is on the disk: not even its journal is written. Undefined where it has no file system. */
async function mountBeside(disk: BladeDisk, slot: Slot): Promise<string | undefined> {
  try {
    await mountOnce(disk[otherSlot(slot)], BESIDE_MOUNT, { options: 'ro,noload' });
    return BESIDE_MOUNT;
  } catch (error) {
    if (errorCode(error) !== 'PROGRAM_FAILED') throw error;
    return undefined;
  }
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

/** A slot that is about to be written holds no release any more, should the power fail, and the disk does not start it. */
async function withdraw(state: BladeState | undefined, disk: BladeDisk, slot: Slot): Promise<void> {
  if (state === undefined) return;
  const mounted: string[] = [];
  try {
    for (const [index, esp] of disk.esps.entries()) {
      const directory = join(ESP_MOUNTS, String(index));
      await mountOnce(esp, directory, { type: 'vfat' });
      mounted.push(directory);
    }
    await withdrawSlot(mounted, slot, goodSlot(state, slot), async () => {
      delete state.slots[slot];
      await writeBladeState(STATE, state);
    });
  } finally {
    for (const directory of mounted) await run('umount', [directory]);
  }
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
    ...(state?.bad === undefined ? {} : { bad: state.bad }),
  });
}
