/** For tests: publishing in this process, from a tree and a fleet folder that change. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { loadFleet } from '../src/fleet/load.ts';
import { folderOf } from '../src/fleet/folder.fixture.ts';
import { packTree } from '../src/image/pack.ts';
import { snapshotStatement, type SnapshotStatement } from '../src/image/statement.ts';
import type { InitrdProgress } from '../src/initrd/build.ts';
import { publishRelease, type Published } from '../src/release/publish.ts';
import { ReleaseRepository } from '../src/release/repository.ts';
import { key, publicKey } from '../src/release/snapshot.fixture.ts';
import { listSnapshot } from '../src/release/snapshots.ts';
import { Store } from '../src/store/store.ts';
import { FLEET, FLEET_FOLDER, publishableTree } from './publish.fixture.ts';

export { key, publicKey };

export interface PublishScene {
  state: string;
  store: Store;
  releases: ReleaseRepository;
  /** Directories. */
  tree: string;
  fleet: string;
  /** What publishing has said that it does, since it was last emptied. */
  steps: string[];
  /** How much of initrds has been compressed. */
  initrds: InitrdProgress[];
  /** Packs the tree as it is now. */
  pack(): Promise<SnapshotStatement>;
  /** Publishes the snapshot that was packed last. @param pins of blades, beside what FLEET says */
  publish(pins?: Record<string, number | 'latest'>): Promise<Published>;
}

export async function publishScene(t: TestContext, fleetText = FLEET): Promise<PublishScene> {
  const state = await folderOf(t, {});
  const fleet = await folderOf(t, { ...FLEET_FOLDER, 'fleet.yaml': fleetText });
  const tree = await publishableTree(t);
  const store = await Store.open(join(state, 'store'));
  const releases = new ReleaseRepository(state, publicKey);
  const steps: string[] = [];
  const initrds: InitrdProgress[] = [];
  let snapshot: SnapshotStatement | undefined;
  const pack = async (): Promise<SnapshotStatement> => {
    const packed = snapshotStatement(await packTree(tree, store), 'web', new Date());
    snapshot = await listSnapshot(store, packed, key);
    return snapshot;
  };
  const publish: PublishScene['publish'] = async (pins = {}) => {
    let text = fleetText;
    for (const [blade, pin] of Object.entries(pins))
      text = text.replace(`${blade}: {`, `${blade}: { pin: ${pin},`);
    await writeFile(join(fleet, 'fleet.yaml'), text);
    return await publishRelease({
      store,
      releases,
      fleet: await loadFleet(fleet),
      fleetDirectory: fleet,
      snapshot: snapshot ?? (await pack()),
      key,
      onStep: (step) => void steps.push(step),
      onInitrd: (progress) => void initrds.push(progress),
    });
  };
  return { state, store, releases, tree, fleet, steps, initrds, pack, publish };
}
