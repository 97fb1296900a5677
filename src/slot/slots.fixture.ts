/** For tests: releases of a fleet, each packed upon the one before, a root that serves them, and slots on loop devices. */
import { generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { listen, releaseServer } from '../agent/release.fixture.ts';
import { packTree } from '../image/pack.ts';
import { snapshotStatement, type SnapshotStatement } from '../image/statement.ts';
import { encodeOverlay } from '../overlay/archive.ts';
import { fileEntry } from '../overlay/entry.ts';
import { seal } from '../release/envelope.ts';
import { openRelease, type SignedRelease } from '../release/repository.ts';
import { listSnapshot } from '../release/snapshots.ts';
import { RELEASE_TYPE, type Blob, type ReleaseStatement } from '../release/statement.ts';
import { Store } from '../store/store.ts';
import { mountPointsBelow } from '../system/mounts.ts';
import { run } from '../system/run.ts';

const MiB = 1024 ** 2;

export async function scratch(t: TestContext): Promise<string> {
  const base = await mkdtemp(join(tmpdir(), 'bladeroot-slots-'));
  // Shared, as systemd has it: a mount namespace that another test makes meanwhile, as `ip netns exec` does, would go on
  // having what is unmounted here, and the device would stay in use.
  await run('mount', ['--bind', base, base]);
  await run('mount', ['--make-shared', base]);
  t.after(async () => {
    // A test that has failed may have left something mounted; what is mounted last goes first. Loop devices have their files
    // in there until they are detached, after this.
    const mounted = [...(await mountPointsBelow(base))].sort().reverse();
    for (const point of mounted) await run('umount', ['--lazy', join(base, point)]);
    await run('umount', ['--lazy', base]);
    await rm(base, { recursive: true, force: true });
  });
  return base;
}

/** A partition, so to say. */
export async function loopDevice(t: TestContext, path: string, bytes: number): Promise<string> {
  await writeFile(path, '');
  await truncate(path, bytes);
  const device = (await run('losetup', ['--find', '--show', path])).stdout.trim();
  t.after(async () => await run('losetup', ['--detach', device]));
  return device;
}

/** What a root has, and the tree that the next release is made of. */
export class TestFleet {
  readonly tree: string;
  readonly store: Store;
  readonly keys: { publicKey: KeyObject; privateKey: KeyObject };
  current: SignedRelease | undefined;
  #snapshot: SnapshotStatement | undefined;
  readonly #sockets = new Set<Socket>();

  private constructor(tree: string, store: Store, keys: { publicKey: KeyObject; privateKey: KeyObject }) {
    this.tree = tree;
    this.store = store;
    this.keys = keys;
  }

  /** With a tree of some two hundred small files, and one of 6 MiB that nothing compresses. */
  static async make(base: string): Promise<TestFleet> {
    const tree = join(base, 'tree');
    for (const folder of ['boot', 'etc', 'usr/share/notes', 'var/lib'])
      await mkdir(join(tree, folder), { recursive: true });
    await writeFile(join(tree, 'etc/os-release'), 'ID=test\n');
    await writeFile(join(tree, 'usr/noise'), randomBytes(6 * MiB));
    for (let i = 0; i < 200; i++) {
      await writeFile(join(tree, `usr/share/notes/${i}`), randomBytes(2000).toString('hex'));
    }
    return new TestFleet(tree, await Store.open(join(base, 'root-store')), generateKeyPairSync('ed25519'));
  }

  /** Packs the tree as it is now, and publishes it as the next release, for `web01`. */
  async publish(changes: Partial<ReleaseStatement> = {}): Promise<SignedRelease> {
    const { store, tree, keys } = this;
    const packed = await packTree(tree, store, { base: this.#snapshot });
    const statement = snapshotStatement(packed, 'test', new Date(0));
    this.#snapshot = await listSnapshot(store, statement, keys.privateKey);
    const sequence = (this.current?.statement.sequence ?? 0) + 1;
    const blob = async (content: Buffer): Promise<Blob> => ({
      digest: await store.putBlob(content),
      bytes: content.length,
    });
    const overlay = encodeOverlay([fileEntry('etc/motd', `release ${sequence}\n`, 'test')]);
    const release: ReleaseStatement = {
      type: 'bladeroot-release',
      version: 1,
      fleet: 'test',
      sequence,
      created: '2026-01-02T03:04:05Z',
      snapshot: { id: statement.id, tree: 'test' },
      kernel: { ...(await blob(Buffer.from(`kernel ${sequence}`))), version: '6.1' },
      initrd: await blob(Buffer.from(`initrd ${sequence}`)),
      loaders: {},
      config: await blob(Buffer.from('config')),
      blades: [
        {
          name: 'web01',
          mac: '52:54:00:77:00:11',
          address: '10.77.0.11',
          netmask: '255.255.255.0',
          dns: [],
          kernelArgs: ['quiet'],
          overlay: await blob(overlay),
        },
      ],
      ...changes,
    };
    const envelope = Buffer.from(seal(RELEASE_TYPE, release, keys.privateKey));
    this.current = openRelease(envelope, keys.publicKey);
    return this.current;
  }

  /** The URL of a root that serves what is current when it is asked. */
  async serve(t: TestContext): Promise<string> {
    const server = releaseServer(this.store, () => {
      if (this.current === undefined) throw new Error('nothing is published');
      return this.current;
    });
    server.on('connection', (socket: Socket) => this.#sockets.add(socket));
    return await listen(t, server);
  }

  /** What the root has sent so far, in bytes. */
  get bytesSent(): number {
    return this.#sockets.values().reduce((sum, socket) => sum + socket.bytesWritten, 0);
  }

  /** The bytes of the packs that a blank blade fetches of the current release. */
  get packBytes(): number {
    const ways = this.#snapshot?.layers.map(({ ways: [first = []] }) => first) ?? [];
    return ways.flat().reduce((sum, { bytes }) => sum + bytes, 0);
  }
}
