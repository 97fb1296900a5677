/** For tests: a signed release and what it is made of, in a store, and a root that serves it. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { packTree } from '../image/pack.ts';
import { snapshotStatement } from '../image/statement.ts';
import { seal } from '../release/envelope.ts';
import { openRelease, type SignedRelease } from '../release/repository.ts';
import { listSnapshot } from '../release/snapshots.ts';
import { RELEASE_TYPE, type ReleaseStatement } from '../release/statement.ts';
import { answerBootRequest } from '../serve/boot-http.ts';
import { Store } from '../store/store.ts';

export const keys = generateKeyPairSync('ed25519');

/** @param fields what is to differ from a release of a fleet with the blade `web01` */
export function signRelease(
  fields: Partial<ReleaseStatement> = {},
  key: KeyObject = keys.privateKey,
): Buffer {
  const nothing = { digest: '0'.repeat(64), bytes: 0 };
  const statement: ReleaseStatement = {
    type: 'bladeroot-release',
    version: 1,
    fleet: 'test',
    sequence: 1,
    created: '2026-01-02T03:04:05Z',
    snapshot: { id: '0'.repeat(64), tree: 'test' },
    kernel: { ...nothing, version: '6.1' },
    initrd: nothing,
    loaders: {},
    config: nothing,
    blades: [testBlade('web01', '00:00:00:00:00:00')],
    ...fields,
  };
  return Buffer.from(seal(RELEASE_TYPE, statement, key));
}

/** A blade with this machine's own loopback for its NIC is this machine. */
export function testBlade(name: string, mac: string): ReleaseStatement['blades'][number] {
  const overlay = { digest: '0'.repeat(64), bytes: 0 };
  return {
    name,
    mac,
    address: '10.0.0.2',
    netmask: '255.255.255.0',
    dns: [],
    kernelArgs: [],
    overlay,
  };
}

/** Packs a small tree and all else that a release names. */
export async function makeRelease(directory: string): Promise<{ store: Store; release: SignedRelease }> {
  const tree = join(directory, 'tree');
  await mkdir(join(tree, 'etc'), { recursive: true });
  // More than two pieces of a pack, that no compression makes fewer.
  const noise = Buffer.alloc(2.5 * 1024 ** 2);
  for (let i = 0, x = 1; i < noise.length; i++) noise[i] = (x = (x * 48271) % 2147483647) >> 8;
  await writeFile(join(tree, 'noise'), noise);
  await writeFile(join(tree, 'etc/os-release'), 'ID=test\n');
  const store = await Store.open(join(directory, 'store'));
  const statement = snapshotStatement(await packTree(tree, store), 'test', new Date(0));
  await listSnapshot(store, statement, keys.privateKey);
  const blob = async (text: string): Promise<{ digest: string; bytes: number }> => ({
    digest: await store.putBlob(Buffer.from(text)),
    bytes: text.length,
  });
  const envelope = signRelease({
    snapshot: { id: statement.id, tree: 'test' },
    kernel: { ...(await blob('kernel')), version: '6.1' },
    initrd: await blob('initrd'),
    config: await blob('config'),
    blades: [{ ...testBlade('web01', '00:00:00:00:00:00'), overlay: await blob('overlay') }],
  });
  return { store, release: openRelease(envelope, keys.publicKey) };
}

/** A root's HTTP server on loopback; its base URL. */
export async function serveRelease(t: TestContext, store: Store, release: SignedRelease): Promise<string> {
  return await listen(
    t,
    releaseServer(store, () => release),
  );
}

/** A server for what is current when it is asked. */
export function releaseServer(store: Store, current: () => SignedRelease): Server {
  const options = {
    storeDirectory: store.directory,
    url: 'http://127.0.0.1',
    current,
    plan: () => ({ kind: 'agent' as const }),
    whoIs: (address: string) => ({ blade: address }),
    onEvent: () => undefined,
  };
  return createServer((request, response) => {
    answerBootRequest(request, response, options).then(
      (answered) => answered || response.writeHead(404).end(),
      (error: unknown) => response.destroy(error instanceof Error ? error : undefined),
    );
  });
}

export async function listen(t: TestContext, server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return `http://127.0.0.1:${address.port}`;
}
