import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { packTree } from '../image/pack.ts';
import { snapshotStatement } from '../image/statement.ts';
import { seal } from '../release/envelope.ts';
import { writePublicKey } from '../release/keys.ts';
import { openRelease, ReleaseRepository } from '../release/repository.ts';
import { listSnapshot } from '../release/snapshots.ts';
import { RELEASE_TYPE, type ReleaseStatement } from '../release/statement.ts';
import { manifestPath, packIndexPath, packPath, snapshotPath } from '../store/layout.ts';
import { Store } from '../store/store.ts';
import { run, runForBytes } from '../system/run.ts';
import { promote, type PromoteOptions } from './promote.ts';
import { writeBladeState } from './state.ts';

const keys = generateKeyPairSync('ed25519');

interface Scene {
  options: PromoteOptions;
  release: ReleaseStatement;
  store: Store;
  pack: string;
  /** What systemctl was told. */
  told(): Promise<string>;
}

/** A blade that holds a whole release, on a machine whose systemctl does no more than write down what it is told. */
async function setScene(t: TestContext, port: number): Promise<Scene> {
  const base = await mkdtemp(join(tmpdir(), 'bladeroot-promote-'));
  t.after(async () => await rm(base, { recursive: true, force: true }));
  await mkdir(join(base, 'bin'));
  await writeFile(join(base, 'bin/systemctl'), `#!/bin/sh\necho "$@" >> ${base}/told\n`, { mode: 0o755 });
  const path = process.env['PATH'] ?? '';
  process.env['PATH'] = `${join(base, 'bin')}:${path}`;
  t.after(() => {
    process.env['PATH'] = path;
  });

  const stateDirectory = join(base, 'state');
  const store = await Store.open(join(stateDirectory, 'store'));
  for (const folder of ['tree', 'fleet']) await mkdir(join(base, folder));
  await writeFile(join(base, 'tree/file'), 'content');
  await writeFile(join(base, 'fleet/fleet.yaml'), 'name: test\n');
  await mkdir(join(base, 'fleet/blades/rack1'), { recursive: true });
  await writeFile(join(base, 'fleet/blades/rack1/web01.yaml'), 'address: 127.0.0.1\n');
  const snapshot = snapshotStatement(await packTree(join(base, 'tree'), store), 'test', new Date(0));
  await listSnapshot(store, snapshot, keys.privateKey);
  const blob = async (content: Buffer): Promise<{ digest: string; bytes: number }> => ({
    digest: await store.putBlob(content),
    bytes: content.length,
  });
  const overlay = await blob(Buffer.from('overlay'));
  const address = { address: '127.0.0.1', netmask: '255.0.0.0', dns: [], kernelArgs: [] };
  const release: ReleaseStatement = {
    type: 'bladeroot-release',
    version: 1,
    fleet: 'test',
    sequence: 3,
    created: '2026-01-02T03:04:05Z',
    snapshot: { id: snapshot.id, tree: 'test' },
    kernel: { ...(await blob(Buffer.from('kernel'))), version: '6.1' },
    initrd: await blob(Buffer.from('initrd')),
    loaders: { 'undionly.kpxe': await blob(Buffer.from('loader')) },
    config: await blob(await runForBytes('tar', ['-C', join(base, 'fleet'), '-c', '.'])),
    blades: [{ name: 'web01', mac: '52:54:00:00:00:01', ...address, overlay }],
  };
  const envelope = Buffer.from(seal(RELEASE_TYPE, release, keys.privateKey));
  await writePublicKey(stateDirectory, keys.publicKey);
  await new ReleaseRepository(stateDirectory, keys.publicKey).put(openRelease(envelope, keys.publicKey));
  await writeBladeState(stateDirectory, { name: 'web01', roots: [], slots: {} });
  const pack = snapshot.layers[0]?.ways[0]?.[0]?.id;
  assert.ok(pack !== undefined);
  const fleetDirectory = join(base, 'etc/bladeroot');
  return {
    options: { stateDirectory, fleetDirectory, port, onStep: () => undefined },
    release,
    store,
    pack,
    told: async () => await readFile(join(base, 'told'), 'utf8').catch(() => ''),
  };
}

/** The boot services, as far as promote asks them. */
async function bootServices(t: TestContext): Promise<number> {
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/api/v1/status' ? 200 : 404).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}

test('a blade that holds all becomes the root, with the fleet folder of the release', async (t) => {
  const port = await bootServices(t);
  const { options, release, told } = await setScene(t, port);
  const promoted = await promote(options);
  assert.deepEqual(promoted, { url: `http://127.0.0.1:${port}`, release, canPublish: false });
  assert.equal(await readFile(join(options.fleetDirectory, 'fleet.yaml'), 'utf8'), 'name: test\n');
  const part = join(options.fleetDirectory, 'blades/rack1/web01.yaml');
  assert.equal(await readFile(part, 'utf8'), 'address: 127.0.0.1\n');
  assert.equal(await told(), 'enable --now bladeroot-root\n');
});

test('a fleet folder that was there is kept, however often a blade is promoted', async (t) => {
  const { options } = await setScene(t, await bootServices(t));
  const { fleetDirectory } = options;
  await mkdir(fleetDirectory, { recursive: true });
  await writeFile(join(fleetDirectory, 'fleet.yaml'), 'name: written by hand\n');
  // What a run left that was cut off.
  await mkdir(`${fleetDirectory}.new/half`, { recursive: true });
  for (let i = 0; i < 3; i++) await promote(options);
  assert.deepEqual((await readdir(fleetDirectory)).sort(), ['blades', 'fleet.yaml']);
  const beside = (await readdir(join(fleetDirectory, '..'))).filter((name) => name !== 'bladeroot');
  const kept = await Promise.all(
    beside.map(async (name) => await readFile(join(fleetDirectory, '..', name, 'fleet.yaml'), 'utf8')),
  );
  assert.ok(kept.includes('name: written by hand\n'), beside.join());
});

test('what is missing is named, all of it, and nothing is started or placed', async (t) => {
  const { options, release, store, pack, told } = await setScene(t, 1);
  const { id } = release.snapshot;
  const remove = async (path: string): Promise<void> => await rm(join(store.directory, path));
  const refused = async (): Promise<string> => {
    let said = '';
    await assert.rejects(promote(options), (error: unknown) => {
      assert.ok(error instanceof Error && 'code' in error);
      assert.equal(error.code, 'NOT_WHOLE');
      said = error.message;
      return true;
    });
    return said;
  };
  await remove(`blobs/${release.initrd.digest}`);
  assert.match(await refused(), new RegExp(`release 3: blob ${release.initrd.digest}$`));
  await remove(packIndexPath(pack));
  assert.match(await refused(), new RegExp(`: pack ${pack}, blob `));
  await remove(packPath(pack));
  await remove(manifestPath(id));
  assert.match(await refused(), new RegExp(`: manifest ${id}, pack ${pack}, blob `));
  await remove(snapshotPath(id));
  assert.match(await refused(), new RegExp(`: snapshot ${id}, manifest ${id}, blob `));
  assert.equal(await told(), '');
  await assert.rejects(readdir(options.fleetDirectory), { code: 'ENOENT' });
});

test('a machine without a release, of another name, or with an altered release is not promoted', async (t) => {
  const { options } = await setScene(t, 1);
  const { stateDirectory } = options;
  const path = join(stateDirectory, 'releases/3.json');
  const envelope = await readFile(path, 'utf8');

  await writeBladeState(stateDirectory, { name: 'other', roots: [], slots: {} });
  await assert.rejects(promote(options), { code: 'NOT_A_BLADE' });
  await writeFile(path, envelope.replace('eyJ', 'eyK'));
  await assert.rejects(promote(options), { code: 'SIGNATURE_INVALID' });
  await run('rm', [path]);
  await assert.rejects(promote(options), { code: 'NOT_WHOLE', message: /there is no release/ });
});
