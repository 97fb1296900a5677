/** Makes a release: everything that a fleet is to run, in one signed statement. */
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { NO_MENU, type BootMenu } from '../boot/script.ts';
import { BladerootError } from '../errors.ts';
import { findingText } from '../fleet/findings.ts';
import { loadFolder } from '../fleet/load.ts';
import { rethrowAt } from '../fleet/place.ts';
import type { Fleet, Network } from '../fleet/schema.ts';
import { networksOf, NO_SETTINGS, resolveFleet, type ResolvedBlade } from '../fleet/resolve.ts';
import type { ImageFiles } from '../image/files.ts';
import { SnapshotFiles } from '../image/snapshot-files.ts';
import type { SnapshotStatement } from '../image/statement.ts';
import { buildInitrd, type Initrd, type InitrdProgress } from '../initrd/build.ts';
import { findKernel } from '../initrd/kernel.ts';
import { slimNode } from '../initrd/slim-node.ts';
import { renderFleet } from '../overlay/render-fleet.ts';
import { readRendered, writeRendered } from '../overlay/rendered.ts';
import { startedAnywayFindings, type StartedAnyway } from '../overlay/started-anyway.ts';
import { checkSecrets } from '../secrets/check.ts';
import type { Digest } from '../store/digest.ts';
import type { Store } from '../store/store.ts';
import { readAsset } from '../system/asset.ts';
import { runForBytes } from '../system/run.ts';
import { AGENT_PARTS, PROGRAM_AGENT, PROGRAM_NODE } from '../tree/program.ts';
import { archivesOf, initrdInputs, keepInitrd, lastInitrd } from './built-initrd.ts';
import { storeLoaders } from './loaders.ts';
import { pinBlade, pinnedRelease } from './pin.ts';
import { openRelease, type ReleaseRepository, type SignedRelease } from './repository.ts';
import { publicHalf, sealWith, type SigningKey } from './signing-key.ts';
import { RELEASE_TYPE } from './statement.ts';
import type { Blob, ReleaseBlade, ReleaseNetwork, ReleaseStatement } from './statement.ts';

export interface PublishRequest {
  store: Store;
  releases: ReleaseRepository;
  fleet: Fleet;
  fleetDirectory: string;
  snapshot: SnapshotStatement;
  key: SigningKey;
  /** The private half under its passphrase (PEM), for blades to carry; undefined: they do not. */
  carriedKey?: string | undefined;
  message?: string | undefined;
  signal?: AbortSignal | undefined;
  /** Called with what is being done, in words. */
  onStep?: (step: string) => void;
  onInitrd?: (progress: InitrdProgress) => void;
}

export interface Published {
  release: SignedRelease;
  /** False when nothing differs from the release before, which then stays the newest. */
  isNew: boolean;
}

/** @throws BladerootError `NO_KERNEL`, `NO_PROGRAM`, `TOOL_MISSING`, `NO_LOADER`, `SECRETS_OUTDATED`, `SECRET_IN_CLEAR`, ... */
export async function publishRelease(request: PublishRequest): Promise<Published> {
  const { store, releases, fleet, snapshot, key, onStep } = request;
  const image = await SnapshotFiles.open(store, snapshot);
  const before = (await releases.current())?.statement;

  for (const warning of await checkSecrets(request.fleetDirectory, fleet)) onStep?.(`warning: ${warning}`);
  onStep?.('rendering the overlays');
  const blades = await renderBlades(request, image, before);
  onStep?.('packing the fleet folder');
  const config = await putBlob(store, await packFolder(request.fleetDirectory));
  const loaders = await storeLoaders(store, before?.loaders);
  const kernel = await findKernel(image);
  const content: Omit<ReleaseStatement, 'sequence' | 'created' | 'message'> = {
    type: 'bladeroot-release',
    version: 1,
    fleet: fleet.name,
    snapshot: { id: snapshot.id, tree: snapshot.tree },
    kernel: { ...(await putBlob(store, await image.read(kernel.path))), version: kernel.version },
    initrd: await initrdFor(request, image, kernel.version),
    loaders,
    config,
    ...(request.carriedKey === undefined
      ? {}
      : { key: await putBlob(store, Buffer.from(request.carriedKey)) }),
    blades,
    ...(blades.length === 0 ? { kernelArgs: fleet.defaults.kernelArgs } : {}),
    networks: networksOf(fleet).map(([name, network]) => releaseNetwork(name, network)),
  };
  if (before !== undefined && saysTheSame(before, content)) {
    const release = await releases.read(before.sequence);
    return { release, isNew: false };
  }
  const statement: ReleaseStatement = {
    ...content,
    sequence: (before?.sequence ?? 0) + 1,
    created: new Date().toISOString(),
    ...(request.message === undefined ? {} : { message: request.message }),
  };
  const envelope = Buffer.from(await sealWith(RELEASE_TYPE, statement, key));
  const release = openRelease(envelope, publicHalf(key));
  await releases.add(release);
  return { release, isNew: true };
}

function saysTheSame(before: ReleaseStatement, content: object): boolean {
  const { sequence: _sequence, created: _created, message: _message, ...said } = before;
  return JSON.stringify(sorted(said)) === JSON.stringify(sorted(content));
}

/** The same object with its keys in one order, however it came about. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(
    entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, field]) => [name, sorted(field)]),
  );
}

/** Renders what has changed since it was last published, or tried to; pinned blades keep what they have. */
async function renderBlades(
  request: PublishRequest,
  image: ImageFiles,
  last: ReleaseStatement | undefined,
): Promise<ReleaseBlade[]> {
  const { fleet, fleetDirectory: fleetDir, releases, snapshot, store, signal } = request;
  const stateDirectory = dirname(releases.directory);
  const blades = resolveFleet(fleet);
  const pinned = new Map<string, ReleaseBlade>();
  const atPin =
    ({ name }: ResolvedBlade) =>
    (error: unknown) =>
      rethrowAt(fleetDir, name, ['pin'], error);
  for (const blade of blades) {
    if (typeof blade.pin !== 'number') continue;
    const release = await pinnedRelease(blade.pin, request, last).catch(atPin(blade));
    pinned.set(blade.name, await pinBlade(blade, blade.pin, release, store).catch(atPin(blade)));
  }
  const toRender = blades.filter(({ name }) => !pinned.has(name));
  const before = await readRendered(stateDirectory, snapshot.id);
  const release = { snapshot: { id: snapshot.id, tree: snapshot.tree } };
  const fleetRequest = { fleet, blades, toRender, fleetDir, image, release, store, before, signal };
  const { overlays, startedAnyway } = await renderFleet(fleetRequest);
  await writeRendered(stateDirectory, snapshot.id, overlays);
  await warnOfStarted(request, blades, startedAnyway);
  return blades.map((blade) => {
    const asBefore = pinned.get(blade.name);
    if (asBefore !== undefined) return asBefore;
    const overlay = overlays.get(blade.name);
    if (overlay === undefined) throw new Error(`${blade.name} was not rendered`);
    return releaseBlade(blade, { digest: overlay.digest, bytes: overlay.bytes }, overlay.secrets);
  });
}

/** Each once, though many blades have it of one profile. */
async function warnOfStarted(
  { fleetDirectory, onStep }: PublishRequest,
  blades: readonly ResolvedBlade[],
  startedAnyway: ReadonlyMap<string, readonly StartedAnyway[]>,
): Promise<void> {
  const concerned = blades.filter(({ name }) => (startedAnyway.get(name) ?? []).length > 0);
  if (concerned.length === 0) return;
  const loaded = await loadFolder(fleetDirectory);
  const findings = concerned.flatMap((blade) =>
    startedAnywayFindings(loaded, blade, startedAnyway.get(blade.name) ?? []),
  );
  for (const warning of new Set(findings.map(findingText))) onStep?.(`warning: ${warning}`);
}

function releaseNetwork(name: string, network: Network): ReleaseNetwork {
  const { subnet, gateway, dns, domain, mode, pool, proxyDelay } = network;
  return {
    name,
    subnet,
    ...(gateway === undefined ? {} : { gateway }),
    dns,
    ...(domain === undefined ? {} : { domain }),
    mode,
    ...(pool === undefined ? {} : { pool }),
    ...(proxyDelay === undefined ? {} : { proxyDelay }),
  };
}

function releaseBlade(blade: ResolvedBlade, overlay: Blob, secrets: Blob | undefined): ReleaseBlade {
  const { name, mac, serial, guid, address, netmask, gateway, dns, domain, kernelArgs, disks, boot } = blade;
  const { health, bootOrder } = blade;
  return {
    name,
    ...(mac === undefined ? {} : { mac }),
    ...(serial === undefined ? {} : { serial }),
    ...(guid === undefined ? {} : { guid }),
    address,
    netmask,
    ...(gateway === undefined ? {} : { gateway }),
    dns,
    ...(domain === undefined ? {} : { domain }),
    kernelArgs,
    services: blade.services,
    ...(Object.keys(boot).length === 0 ? {} : { boot: bootMenu(boot) }),
    ...(blade.root === 'ram' ? { root: blade.root } : {}),
    ...(saysNothing(disks) ? {} : { disks }),
    ...(isDeepStrictEqual(health, NO_SETTINGS.health) ? {} : { health }),
    ...(bootOrder === undefined ? {} : { bootOrder }),
    overlay,
    ...(blade.recipient === undefined ? {} : { recipient: blade.recipient }),
    ...(secrets === undefined ? {} : { secrets }),
  };
}

function saysNothing({ use, partitions, ...more }: ResolvedBlade['disks']): boolean {
  return [use, partitions, more].every((map) => Object.keys(map).length === 0);
}

function bootMenu({ default: preset, timeout }: ResolvedBlade['boot']): BootMenu {
  return { default: preset ?? NO_MENU.default, timeout: timeout ?? NO_MENU.timeout };
}

/** Built only where something of what it is made of has changed. */
async function initrdFor(request: PublishRequest, image: ImageFiles, version: string): Promise<Blob> {
  const { store, releases, snapshot, key, onStep } = request;
  const stateDirectory = dirname(releases.directory);
  const inputs = await initrdInputs(snapshot.id, publicHalf(key));
  const last = await lastInitrd(stateDirectory, store);
  if (last?.inputs === inputs) return { digest: last.digest, bytes: last.bytes };
  onStep?.('building the initrd');
  const compressed = last === undefined ? undefined : await archivesOf(store, last);
  return await keepInitrd(
    stateDirectory,
    store,
    inputs,
    await buildReleaseInitrd(request, image, version, compressed),
  );
}

async function buildReleaseInitrd(
  request: PublishRequest,
  image: ImageFiles,
  version: string,
  compressed: ReadonlyMap<Digest, Buffer> | undefined,
): Promise<Initrd> {
  for (const path of [PROGRAM_NODE, PROGRAM_AGENT]) {
    if ((await image.stat(path)) === undefined) {
      throw new BladerootError('NO_PROGRAM', `the snapshot of ${request.snapshot.tree} has no /${path}`, {
        hint: 'pack it as a tree (`bladeroot snapshot pack NAME`): that puts the program into it',
      });
    }
  }
  const publicKey = publicHalf(request.key).export({ type: 'spki', format: 'pem' });
  return await buildInitrd({
    image,
    kernel: { version },
    extra: [
      { path: 'init', mode: 0o755, content: await readAsset('initrd/init.sh') },
      { path: 'etc/udhcpc.script', mode: 0o755, content: await readAsset('initrd/udhcpc.sh') },
      { path: 'etc/bladeroot/release.pub', mode: 0o644, content: Buffer.from(publicKey) },
      { path: PROGRAM_NODE, mode: 0o755, content: slimNode(await image.read(PROGRAM_NODE)) },
      { path: PROGRAM_AGENT, mode: 0o644, content: await image.read(PROGRAM_AGENT) },
      ...(await filesAt(image, AGENT_PARTS)),
    ],
    signal: request.signal,
    ...(compressed === undefined ? {} : { compressed }),
    ...(request.onInitrd === undefined ? {} : { onProgress: request.onInitrd }),
  });
}

/** Files of the image, and all files below folders of it. */
async function filesAt(
  image: ImageFiles,
  paths: readonly string[],
): Promise<{ path: string; mode: number; content: Buffer }[]> {
  const found: { path: string; mode: number; content: Buffer }[] = [];
  for (const path of paths) {
    const stat = await image.stat(path);
    if (stat?.type === 'file') found.push({ path, mode: stat.mode, content: await image.read(path) });
    const names = stat?.type === 'dir' ? await image.list(path) : [];
    found.push(
      ...(await filesAt(
        image,
        names.map((name) => `${path}/${name}`),
      )),
    );
  }
  return found;
}

/** A folder as a tar archive that is the same for the same content, whoever owns it and whenever it was written. */
async function packFolder(directory: string): Promise<Buffer> {
  const same = ['--format=pax', '--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'];
  const headers = '--pax-option=delete=atime,delete=ctime,exthdr.name=%d/PaxHeaders/%f';
  const args = [...same, headers, '--exclude-vcs', '-C', directory, '-c', '-f', '-', '.'];
  return await runForBytes('tar', args);
}

async function putBlob(store: Store, content: Buffer): Promise<Blob> {
  return { digest: await store.putBlob(content), bytes: content.length };
}
