/** Makes a blade the root, out of nothing but what it carries. */
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { BladerootError, describeError, errorCode } from '../errors.ts';
import type { SnapshotLayer } from '../image/statement.ts';
import { placeCarriedKey, privateKeyFile, readPublicKey } from '../release/keys.ts';
import { ReleaseRepository } from '../release/repository.ts';
import { readSnapshot } from '../release/snapshots.ts';
import { releaseBlobs, releaseSnapshots, type ReleaseStatement } from '../release/statement.ts';
import { sha256 } from '../store/digest.ts';
import { Store } from '../store/store.ts';
import { run } from '../system/run.ts';
import { syncDirectory } from '../system/write-file.ts';
import { ROOT_SERVICE } from '../tree/program.ts';
import { runsFromMemory } from './in-memory.ts';
import { runningServices } from './running-services.ts';
import { readBladeState } from './state.ts';

const ANSWER_WITHIN_MS = 60_000;

export interface PromoteOptions {
  stateDirectory: string;
  fleetDirectory: string;
  /** The port on which every root answers HTTP. */
  port: number;
  onStep(step: string): void;
}

export interface Promoted {
  url: string;
  release: ReleaseStatement;
  /** Whether it has the fleet's key, which may ask for a passphrase. */
  canPublish: boolean;
}

/**
 * Checks that this blade holds all that a root needs, puts the fleet folder and the key in their places, and starts the
 * boot services, now and at every boot.
 * @throws BladerootError `NOT_WHOLE` that says what is missing, `SIGNATURE_INVALID`, `PROMOTE_FAILED`
 */
export async function promote(options: PromoteOptions): Promise<Promoted> {
  const { stateDirectory, onStep } = options;
  if (await runsFromMemory()) {
    throw new BladerootError(
      'NOT_WHOLE',
      'this blade runs from memory, and keeps no packs there: it cannot be the root',
      {
        hint: 'promote a blade that runs from its disk',
      },
    );
  }
  const name = (await readBladeState(stateDirectory))?.name;
  const publicKey = await readPublicKey(stateDirectory);
  const current = await new ReleaseRepository(stateDirectory, publicKey).current();
  if (current === undefined) {
    throw new BladerootError('NOT_WHOLE', `there is no release in ${stateDirectory}`, {
      hint: 'this machine was never deployed; promote one that was',
    });
  }
  const release = current.statement;
  const blade = release.blades.find((candidate) => candidate.name === name);
  if (blade === undefined) {
    throw new BladerootError('NOT_A_BLADE', `this machine is no blade of release ${release.sequence}`, {
      hint: 'promote a machine that bladeroot has deployed',
    });
  }
  const store = await Store.open(join(stateDirectory, 'store'));
  onStep(`checking that all of release ${release.sequence} is here`);
  const missing = await missingFrom(store, release, publicKey);
  if (missing.length > 0) {
    throw new BladerootError(
      'NOT_WHOLE',
      `this blade does not hold all of release ${release.sequence}: ${missing.join(', ')}`,
      {
        hint: 'promote another blade',
      },
    );
  }
  onStep(`placing the fleet folder at ${options.fleetDirectory}`);
  await placeFleetFolder(store.blobPath(release.config.digest), options.fleetDirectory);
  const canPublish = await placeKey(store, release, options);
  onStep('starting the boot services');
  const services = await runningServices();
  await services.enable(ROOT_SERVICE);
  const url = `http://${blade.address}:${options.port}`;
  await waitForAnswer(url, services.logOf(ROOT_SERVICE));
  return { url, release, canPublish };
}

/** Returns whether there is a key here with which the next release can be signed. */
async function placeKey(
  store: Store,
  { key }: ReleaseStatement,
  { stateDirectory, onStep }: PromoteOptions,
): Promise<boolean> {
  if (key !== undefined) {
    onStep("placing the fleet's key: publishing asks for its passphrase");
    const pem = await readFile(store.blobPath(key.digest));
    if (sha256(pem) !== key.digest) {
      throw new BladerootError('NOT_WHOLE', "the fleet's key that this blade carries is damaged", {
        hint: 'promote another blade, or mend this one: `bladeroot snapshot verify --repair-from URL`',
      });
    }
    await placeCarriedKey(stateDirectory, pem.toString());
  }
  return (await privateKeyFile(stateDirectory)).kind !== 'elsewhere';
}

async function missingFrom(
  store: Store,
  release: ReleaseStatement,
  publicKey: Awaited<ReturnType<typeof readPublicKey>>,
): Promise<string[]> {
  const missing: string[] = [];
  for (const { id } of releaseSnapshots(release)) {
    const snapshot = await readSnapshot(store, id, publicKey).catch((error: unknown) => {
      if (errorCode(error) !== 'SNAPSHOT_MISSING') throw error;
      missing.push(`snapshot ${id}`);
    });
    if (!(await store.hasManifest(id))) missing.push(`manifest ${id}`);
    for (const layer of snapshot?.layers ?? []) missing.push(...(await missingPacks(store, layer)));
  }
  for (const { digest } of releaseBlobs(release)) {
    if (!(await store.hasBlob(digest))) missing.push(`blob ${digest}`);
  }
  return missing;
}

/** What the way that lacks the least lacks of a layer. */
async function missingPacks(store: Store, layer: SnapshotLayer): Promise<string[]> {
  let least: string[] | undefined;
  for (const way of layer.ways) {
    const missing: string[] = [];
    for (const { id } of way) if (!(await store.hasPack(id))) missing.push(`pack ${id}`);
    if (least === undefined || missing.length < least.length) least = missing;
  }
  return least ?? [];
}

/** Unpacked aside, synced and renamed; a folder that was there before is kept beside it, at every promotion. */
async function placeFleetFolder(archive: string, directory: string): Promise<void> {
  const aside = `${directory}.new`;
  await rm(aside, { recursive: true, force: true });
  await mkdir(dirname(directory), { recursive: true });
  await mkdir(aside);
  await run('tar', ['-x', '-f', archive, '-C', aside]);
  await run('sync', ['--file-system', aside]);
  if ((await stat(directory).catch(() => undefined)) !== undefined) {
    await rename(directory, `${directory}.until-${new Date().toISOString()}`);
  }
  await rename(aside, directory);
  await syncDirectory(dirname(directory));
}

async function waitForAnswer(url: string, log: string): Promise<void> {
  const deadline = performance.now() + ANSWER_WITHIN_MS;
  for (;;) {
    try {
      const response = await fetch(`${url}/api/v1/status`, { signal: AbortSignal.timeout(2000) });
      if (response.ok) return;
      throw new Error(`it answers ${response.status}`);
    } catch (error) {
      if (performance.now() < deadline) {
        await wait(250);
        continue;
      }
      throw new BladerootError(
        'PROMOTE_FAILED',
        `the boot services do not answer at ${url}: ${describeError(error)}`,
        {
          hint: `see \`${log}\``,
          cause: error,
        },
      );
    }
  }
}
