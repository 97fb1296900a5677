/** From a verified release to a root filesystem in memory, for blades with `root: ram`; no disk is laid out. */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readBladeState, requireNotOlder, writeBladeState } from '../blade/state.ts';
import { unpackSnapshot } from '../image/unpack.ts';
import { writePublicKey } from '../release/keys.ts';
import { ReleaseRepository } from '../release/repository.ts';
import { fetchSnapshot } from '../release/snapshots.ts';
import type { Identity } from '../secrets/identity-file.ts';
import { fetchBlob } from '../store/fetch.ts';
import { run } from '../system/run.ts';
import { attempt } from './attempt.ts';
import { configure, memoryMounts } from './configure.ts';
import { inspectDisks } from './disks.ts';
import { BLADE_LAYERS } from './fetch-image.ts';
import { findPersist, keepIdentity } from './identity.ts';
import { introduce, PERSIST, SLOT_MOUNT, tellConfigured, type InstallRequest } from './install.ts';
import { fetchSecrets } from './lay-secrets.ts';
import { memoryRoom } from './memory-room.ts';
import { mountOnce, unmountIfMounted } from './mounts.ts';

/** What the blade has as its state directory: on the persistent partition, or else in memory as all the rest. */
interface Home {
  persist: string | undefined;
  stateDirectory: string;
}

/**
 * Unpacks the release into a tmpfs, which stays mounted for `/init` to switch to. Packs are not kept: they would take as
 * much memory again. A persistent partition that is there keeps who the blade is.
 * @returns what stands for a device where the system is started
 * @throws BladerootError `NOT_ENOUGH_MEMORY`, `RELEASE_OLDER`, and what unpacking and configuring throw
 */
export async function runInMemory(request: InstallRequest): Promise<string> {
  const { reporter } = request;
  const bytes = await attempt('disk', reporter, () => measureRoom(request));
  const home = await attempt('disk', reporter, () => findHome(request));
  if (home.persist !== undefined) {
    const state = await readBladeState(home.stateDirectory);
    requireNotOlder(state, request.release.statement.sequence, request.root);
  }
  const identity = await attempt('disk', reporter, () => identityAt(home, request.identity));
  await introduce(request, identity);
  await attempt('fetch', reporter, () => unpack(request, bytes));
  await attempt('configure', reporter, () => makeItThisBlade(request, home, identity));
  reporter.started('switch-root', 'what the blade runs is in memory');
  await record(request, home);
  if (home.persist !== undefined) await run('umount', [PERSIST]);
  return 'tmpfs';
}

async function measureRoom({ toRun, source, publicKey, reporter }: InstallRequest): Promise<number> {
  reporter.started('disk', 'measuring the memory: this blade has its root filesystem there');
  const { statement } = await fetchSnapshot(source, toRun.statement.snapshot.id, publicKey);
  const meminfo = await readFile('/proc/meminfo', 'utf8');
  const kilobytes = (name: string): number =>
    Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(meminfo)?.[1] ?? 0);
  return memoryRoom(statement, BLADE_LAYERS, {
    availableBytes: 1024 * kilobytes('MemAvailable'),
    totalBytes: 1024 * kilobytes('MemTotal'),
  });
}

async function findHome({ reporter }: InstallRequest): Promise<Home> {
  const persist = await findPersist(await inspectDisks());
  if (persist === undefined) {
    reporter.done('disk', 'the image fits into memory');
    reporter.say(
      'there is no persistent partition: identity, host keys and machine id are new at every boot, and so are secrets out of reach',
    );
    return { persist, stateDirectory: join(SLOT_MOUNT, 'var/lib/bladeroot') };
  }
  await mountOnce(persist, PERSIST);
  reporter.done('disk', `the image fits into memory; who this blade is stays on ${persist}`);
  return { persist, stateDirectory: join(PERSIST, 'bladeroot') };
}

async function unpack({ toRun, publicKey, source, reporter }: InstallRequest, bytes: number): Promise<void> {
  reporter.started('fetch', `unpacking release ${toRun.statement.sequence} into memory`);
  await unmountIfMounted(SLOT_MOUNT);
  await mkdir(SLOT_MOUNT, { recursive: true });
  await run('mount', ['-t', 'tmpfs', '-o', `mode=0755,size=${bytes}`, 'tmpfs', SLOT_MOUNT]);
  const { statement } = await fetchSnapshot(source, toRun.statement.snapshot.id, publicKey);
  const begun = performance.now();
  await unpackSnapshot({
    statement,
    source,
    directory: SLOT_MOUNT,
    layers: BLADE_LAYERS,
    onProgress: ({ bytesDone, bytesTotal }) => {
      const seconds = (performance.now() - begun) / 1000;
      reporter.progress('fetch', bytesDone, bytesTotal, bytesDone / Math.max(seconds, 0.001));
    },
  });
  reporter.done('fetch', 'the image is unpacked');
}

async function identityAt({ persist, stateDirectory }: Home, identity: Identity): Promise<Identity> {
  return persist === undefined ? identity : await keepIdentity(stateDirectory, identity);
}

async function makeItThisBlade(request: InstallRequest, home: Home, identity: Identity): Promise<void> {
  const { blade, source, reporter, machine } = request;
  await mkdir(home.stateDirectory, { recursive: true });
  // On a persistent partition it is already, and stays.
  await keepIdentity(home.stateDirectory, identity);
  const secrets = await fetchSecrets(source, blade, identity);
  reporter.started('configure', `making it ${blade.name}`);
  await configure({
    directory: SLOT_MOUNT,
    mounts: memoryMounts(home.persist !== undefined),
    overlay: await fetchBlob(source, blade.overlay.digest, blade.overlay.bytes),
    secrets,
    identity,
    mac: machine.mac,
    identityDirectory: join(home.stateDirectory, 'identity'),
  });
  tellConfigured(request, identity, secrets);
}

/** What slots of a disk hold stays written down: it is there still. */
async function record({ release, toRun, root, blade, publicKey }: InstallRequest, home: Home): Promise<void> {
  const { stateDirectory } = home;
  await writePublicKey(stateDirectory, publicKey);
  const releases = new ReleaseRepository(stateDirectory, publicKey);
  for (const one of new Set([toRun, release])) await releases.put(one);
  const state = home.persist === undefined ? undefined : await readBladeState(stateDirectory);
  await writeBladeState(stateDirectory, {
    name: blade.name,
    roots: [root, ...(state?.roots ?? []).filter((known) => known !== root)].slice(0, 8),
    newest: release.statement.sequence,
    slots: state?.slots ?? {},
    inMemory: toRun.statement.sequence,
  });
}
