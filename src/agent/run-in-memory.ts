/** From a verified release to a root filesystem in memory, for blades with `root: ram`; no disk is laid out. */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readBladeState, requireNotOlder, writeBladeState } from '../blade/state.ts';
import { memoryMounts } from '../disks/fstab.ts';
import type { DiskFacts, PartitionFacts } from '../fleet/machine.ts';
import { unpackSnapshot } from '../image/unpack.ts';
import { writePublicKey } from '../release/keys.ts';
import { ReleaseRepository } from '../release/repository.ts';
import { fetchSnapshot } from '../release/snapshots.ts';
import type { Identity } from '../secrets/identity-file.ts';
import { fetchBlob } from '../store/fetch.ts';
import { run } from '../system/run.ts';
import { attempt } from './attempt.ts';
import { configure } from '../slot/configure.ts';
import { inspectDisks } from '../storage/inspect.ts';
import { BLADE_LAYERS } from '../slot/fetch-image.ts';
import { findPersist, keepIdentity } from './identity.ts';
import { introduce, PERSIST, SLOT_MOUNT, tellConfigured, type BootRequest } from './install.ts';
import { fetchSecrets } from '../slot/lay-secrets.ts';
import { memoryRoom } from './memory-room.ts';
import { mountOnce, unmountIfMounted } from '../slot/mounts.ts';

/** Where things are mounted meanwhile, and the disks that there are. */
interface Surroundings {
  root: string;
  persist: string;
  inspectDisks(): Promise<readonly DiskFacts[]>;
}

const MACHINE: Surroundings = { root: SLOT_MOUNT, persist: PERSIST, inspectDisks };

/** What the blade has as its state directory: on the persistent partition, or else in memory as all the rest. */
interface Home {
  root: string;
  /** The persistent partition, and where it is mounted. */
  persist: { partition: PartitionFacts; directory: string } | undefined;
  stateDirectory: string;
}

/**
 * Unpacks the release into a tmpfs, which stays mounted for `/init` to switch to. Packs are not kept: they would take as
 * much memory again. A persistent partition that is there keeps who the blade is.
 * @returns what stands for a device where the system is started
 * @throws BladerootError `NOT_ENOUGH_MEMORY`, `RELEASE_OLDER`, and what unpacking and configuring throw
 */
export async function runInMemory(request: BootRequest, around = MACHINE): Promise<string> {
  const { reporter } = request;
  const bytes = await attempt('disk', reporter, () => measureRoom(request));
  const home = await attempt('disk', reporter, () => findHome(request, around));
  if (home.persist !== undefined) {
    const state = await readBladeState(home.stateDirectory);
    requireNotOlder(state, request.release.statement.sequence, request.root);
  }
  const identity = await attempt('disk', reporter, () => identityAt(home, request.identity));
  await introduce(request, identity);
  await attempt('fetch', reporter, () => unpack(request, home.root, bytes));
  await attempt('configure', reporter, () => makeItThisBlade(request, home, identity));
  reporter.started('switch-root', 'what the blade runs is in memory');
  await record(request, home);
  if (home.persist !== undefined) await run('umount', [home.persist.directory]);
  return 'tmpfs';
}

async function measureRoom({ toRun, source, publicKey, reporter }: BootRequest): Promise<number> {
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

async function findHome({ reporter }: BootRequest, around: Surroundings): Promise<Home> {
  const { root, persist: directory } = around;
  const partition = findPersist(await around.inspectDisks());
  if (partition === undefined) {
    reporter.done('disk', 'the image fits into memory');
    reporter.say(
      'there is no persistent partition: identity, host keys and machine id are new at every boot, and so are secrets out of reach',
    );
    return { root, persist: undefined, stateDirectory: join(root, 'var/lib/bladeroot') };
  }
  await mountOnce(partition.path, directory);
  reporter.done('disk', `the image fits into memory; who this blade is stays on ${partition.path}`);
  return { root, persist: { partition, directory }, stateDirectory: join(directory, 'bladeroot') };
}

async function unpack(
  { toRun, publicKey, source, reporter }: BootRequest,
  directory: string,
  bytes: number,
): Promise<void> {
  reporter.started('fetch', `unpacking release ${toRun.statement.sequence} into memory`);
  await unmountIfMounted(directory);
  await mkdir(directory, { recursive: true });
  await run('mount', ['-t', 'tmpfs', '-o', `mode=0755,size=${bytes}`, 'tmpfs', directory]);
  const { statement } = await fetchSnapshot(source, toRun.statement.snapshot.id, publicKey);
  const begun = performance.now();
  await unpackSnapshot({
    statement,
    source,
    directory,
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

async function makeItThisBlade(request: BootRequest, home: Home, identity: Identity): Promise<void> {
  const { blade, source, reporter, machine } = request;
  await mkdir(home.stateDirectory, { recursive: true });
  // On a persistent partition it is already, and stays.
  await keepIdentity(home.stateDirectory, identity);
  const secrets = await fetchSecrets(source, blade, identity);
  reporter.started('configure', `making it ${blade.name}`);
  await configure({
    directory: home.root,
    mounts: memoryMounts(home.persist?.partition),
    overlay: await fetchBlob(source, blade.overlay.digest, blade.overlay.bytes),
    secrets,
    identity,
    mac: machine.mac,
    identityDirectory: join(home.stateDirectory, 'identity'),
  });
  tellConfigured(request, identity, secrets);
}

/** What slots of a disk hold stays written down: it is there still. */
async function record({ release, toRun, root, blade, publicKey }: BootRequest, home: Home): Promise<void> {
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
