import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import { encodeTarHeader, TAR_END, tarPadding, type TarType } from '../image/tar.ts';
import { decodeTar } from '../image/tar-decoder.ts';
import { unpackSnapshot } from '../image/unpack.ts';
import { collect } from '../store/byte-reader.ts';
import { DirectorySource } from '../store/directory-source.ts';
import { packPath } from '../store/layout.ts';
import { Store } from '../store/store.ts';
import { run } from '../system/run.ts';
import { exportSnapshot } from './export-snapshot.ts';
import { importSnapshot, type Imported } from './import-snapshot.ts';
import { sampleKey } from './release.fixture.ts';
import { flip, key, packOf, publicKey, twoSnapshots, type Scene } from './snapshot.fixture.ts';
import { readSnapshot, signSnapshot } from './snapshots.ts';
import { verifyStore } from './verify.ts';

interface Member {
  path: string;
  content: Buffer;
  type?: TarType;
  target?: string;
}

/** Exports the second snapshot, which has two packs of one layer. */
async function exportSecond({ store, snapshots }: Scene): Promise<Buffer> {
  return await collect(exportSnapshot(store, snapshots[1]?.id ?? '', publicKey));
}

async function* streamOf(archive: Buffer, size = 100_000): AsyncGenerator<Buffer> {
  for (let at = 0; at < archive.length; at += size) yield archive.subarray(at, at + size);
}

async function membersOf(archive: Buffer): Promise<Member[]> {
  const members: Member[] = [];
  for await (const { header, content } of decodeTar(streamOf(archive))) {
    members.push({ path: header.path.toString(), content: await collect(content) });
  }
  return members;
}

function archiveOf(members: readonly Member[]): Buffer {
  const parts = members.flatMap(({ path, content, type = 'file', target = '' }) => [
    encodeTarHeader({ path: Buffer.from(path), type, size: content.length, target: Buffer.from(target) }),
    content,
    tarPadding(content.length),
  ]);
  return Buffer.concat([...parts, TAR_END]);
}

async function emptyStore(scene: Scene, name: string): Promise<Store> {
  return await Store.open(join(scene.directory, name));
}

async function take(store: Store, archive: Buffer): Promise<Imported> {
  return await importSnapshot(store, streamOf(archive), publicKey);
}

/** Nothing is listed, and nothing is anywhere. */
async function requireUntouched(store: Store): Promise<void> {
  for (const folder of ['snapshots', 'packs', 'manifests', 'blobs', 'tags', 'tmp']) {
    assert.deepEqual(await readdir(join(store.directory, folder)), [], folder);
  }
}

test('an exported snapshot comes back whole in an empty store, and can be unpacked from there', async (t) => {
  const scene = await twoSnapshots(t);
  const { tree, directory, releases, snapshots } = scene;
  const store = await emptyStore(scene, 'other');
  const { statement, isNew } = await take(store, await exportSecond(scene));
  assert.deepEqual([statement, isNew], [snapshots[1], true]);
  const { problems, snapshots: count } = await verifyStore({ store, publicKey, releases });
  assert.deepEqual([problems, count], [[], 1]);
  const out = join(directory, 'out');
  await unpackSnapshot({ statement, source: new DirectorySource(store.directory), directory: out });
  await run('diff', ['--recursive', '--no-dereference', tree, out]);
  assert.deepEqual(await readdir(store.asideFolder), []);
});

test('GNU tar lists an archive, and one that GNU tar has written of the same files is taken', async (t) => {
  const scene = await twoSnapshots(t);
  const file = join(scene.directory, 'archive.tar');
  await writeFile(file, await exportSecond(scene));
  const { stdout } = await run('tar', ['--list', '--file', file]);
  const names = stdout.trim().split('\n');
  assert.equal(names[0], `snapshots/${scene.snapshots[1]?.id}.json`);
  assert.equal(names.length, 2 + 3 * 2);
  const folder = join(scene.directory, 'unpacked');
  await mkdir(folder);
  await run('tar', ['--extract', '--file', file, '--directory', folder]);
  const again = join(scene.directory, 'again.tar');
  await run('tar', ['--create', '--file', again, '--directory', folder, ...names]);
  assert.ok((await take(await emptyStore(scene, 'other'), await readFile(again))).isNew);
});

test('a store that has it takes nothing; one that has only lost something of it is mended', async (t) => {
  const scene = await twoSnapshots(t);
  const archive = await exportSecond(scene);
  const { store, releases, snapshots } = scene;
  const isNew = async (): Promise<boolean> => (await take(store, archive)).isNew;
  assert.equal(await isNew(), false);
  await run('rm', [store.packPath(packOf(snapshots[1], 0, 1))]);
  assert.equal(await isNew(), true);
  await flip(store, `snapshots/${snapshots[1]?.id ?? ''}.json`, 300);
  assert.equal(await isNew(), true);
  assert.deepEqual((await verifyStore({ store, publicKey, releases })).problems, []);
});

test('packs that are here already need not be in the archive, if they are sound', async (t) => {
  const scene = await twoSnapshots(t);
  const base = packOf(scene.snapshots[0], 0, 0);
  const members = (await membersOf(await exportSecond(scene))).filter(({ path }) => !path.includes(base));
  const { store } = scene;
  await store.unlistSnapshot(scene.snapshots[1]?.id ?? '');
  await run('rm', [store.packPath(packOf(scene.snapshots[1], 0, 1))]);
  await flip(store, packPath(base), 5);
  await assert.rejects(take(store, archiveOf(members)), { code: 'PIECE_DAMAGED', message: new RegExp(base) });
  await flip(store, packPath(base), 5);
  assert.ok((await take(store, archiveOf(members))).isNew);
});

test('what another key has signed is not taken', async (t) => {
  const scene = await twoSnapshots(t);
  const store = await emptyStore(scene, 'other');
  const archive = streamOf(await exportSecond(scene));
  await assert.rejects(importSnapshot(store, archive, createPublicKey(sampleKey())), {
    code: 'SIGNATURE_INVALID',
  });
  await requireUntouched(store);
});

test('a snapshot whose packs are signed and do not hold what its manifest names is not taken', async (t) => {
  const scene = await twoSnapshots(t);
  const second = scene.snapshots[1];
  assert.ok(second !== undefined);
  const members = await membersOf(await exportSecond(scene));
  const layers = second.layers.map((layer) => ({ ...layer, ways: layer.ways.map((way) => way.slice(0, 1)) }));
  await signSnapshot(scene.store, { ...second, layers }, key);
  const envelope = await scene.store.readSnapshot(second.id);
  const lost = packOf(second, 0, 1);
  const rest = members.slice(1).filter(({ path }) => !path.includes(lost));
  const store = await emptyStore(scene, 'other');
  const first = { path: `snapshots/${second.id}.json`, content: envelope };
  await assert.rejects(take(store, archiveOf([first, ...rest])), {
    code: 'IMPORT_REFUSED',
    message: /\d objects of snapshot \w{64} are missing/,
  });
  await requireUntouched(store);
});

test('a damaged snapshot is not exported', async (t) => {
  const scene = await twoSnapshots(t);
  await flip(scene.store, packPath(packOf(scene.snapshots[0], 0, 0)), 5);
  await assert.rejects(exportSecond(scene), { code: 'PIECE_DAMAGED' });
  await run('rm', [scene.store.packPath(packOf(scene.snapshots[0], 0, 0))]);
  await assert.rejects(exportSecond(scene), { code: 'SNAPSHOT_INCOMPLETE', hint: /--repair-from/ });
});

test('an archive that is altered, cut off, out of order, or has more or other members is refused, and leaves nothing', async (t) => {
  const scene = await twoSnapshots(t);
  const members = await membersOf(await exportSecond(scene));
  const store = await emptyStore(scene, 'other');
  const outside = join(scene.directory, 'outside');
  const [first, second] = members;
  assert.ok(first !== undefined && second !== undefined);
  const evil = Buffer.from('evil');
  const cases: [what: string, members: Member[], code: string][] = [
    ['a path that leads out', [...members, { path: '../../outside', content: evil }], 'IMPORT_REFUSED'],
    ['an absolute path', [...members, { path: outside, content: evil }], 'IMPORT_REFUSED'],
    [
      'a link',
      [first, { path: second.path, content: Buffer.alloc(0), type: 'symlink', target: outside }],
      'IMPORT_REFUSED',
    ],
    [
      'a hard link',
      [first, { path: second.path, content: Buffer.alloc(0), type: 'hardlink', target: outside }],
      'IMPORT_REFUSED',
    ],
    ['a folder', [first, { path: 'packs', content: Buffer.alloc(0), type: 'dir' }], 'IMPORT_REFUSED'],
    ['a blob', [...members, { path: `blobs/${'ab'.repeat(32)}`, content: evil }], 'IMPORT_REFUSED'],
    ['a tag', [...members, { path: 'tags/stable', content: evil }], 'IMPORT_REFUSED'],
    ['another snapshot', [...members, first], 'IMPORT_REFUSED'],
    ['a member twice', [...members, second], 'IMPORT_REFUSED'],
    ['no statement', members.slice(1), 'IMPORT_REFUSED'],
    ['the statement last', [...members.slice(1), first], 'IMPORT_REFUSED'],
    ['packs before their indexes', [first, ...members.slice(1).toReversed()], 'IMPORT_REFUSED'],
    ['no manifest', [first, ...members.slice(2)], 'IMPORT_REFUSED'],
    ['no packs', members.slice(0, 2), 'IMPORT_REFUSED'],
    [
      'a longer manifest',
      [first, { ...second, content: Buffer.concat([second.content, evil]) }],
      'IMPORT_REFUSED',
    ],
    ['a large statement', [{ ...first, content: Buffer.alloc(2 ** 21) }], 'IMPORT_REFUSED'],
    ['nothing', [], 'IMPORT_REFUSED'],
  ];
  for (const [what, altered, code] of cases) {
    await assert.rejects(take(store, archiveOf(altered)), { code }, what);
    await requireUntouched(store);
  }
  assert.equal(existsSync(outside), false);
});

test('an index may not grow beyond what is signed, nor extended headers in memory', async (t) => {
  const scene = await twoSnapshots(t);
  const members = await membersOf(await exportSecond(scene));
  const store = await emptyStore(scene, 'other');
  const bomb = members.map((member) =>
    member.path.endsWith('.json.zst') ? { ...member, content: Buffer.alloc(2 ** 20) } : member,
  );
  await assert.rejects(take(store, archiveOf(bomb)), {
    code: 'IMPORT_REFUSED',
    message: /index of pack .* is 1048576/,
  });

  let sent = 0;
  async function* endless(): AsyncGenerator<Buffer> {
    const value = Buffer.alloc(2 ** 20, 'x');
    for (; ; sent += value.length) {
      const record = Buffer.concat([Buffer.from(`1048576 comment${sent}=`), value]).subarray(0, 2 ** 20 - 1);
      const header = encodeTarHeader({ path: Buffer.from('pax'), type: 'file', size: 2 ** 20 });
      header.write('g', 156, 'latin1');
      header.fill(' ', 148, 156);
      const sum = header.reduce((total, byte) => total + byte, 0);
      header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
      yield Buffer.concat([header, record, Buffer.from('\n')]);
    }
  }
  await assert.rejects(importSnapshot(store, endless(), publicKey), {
    code: 'TAR_DAMAGED',
    message: /extended headers of \d+ bytes/,
  });
  assert.ok(sent <= 9 * 2 ** 20, `${sent} bytes were read`);
  await requireUntouched(store);
});

test('whatever the bytes: nothing is listed that is not the snapshot, and nothing is left', async (t) => {
  const scene = await twoSnapshots(t);
  const archive = await exportSecond(scene);
  const members = await membersOf(archive);
  let round = 0;
  const tried = async (bytes: Buffer): Promise<void> => {
    const store = await emptyStore(scene, `fuzz${round++}`);
    try {
      const { statement } = await take(store, bytes);
      assert.deepEqual(await readSnapshot(store, statement.id, publicKey), scene.snapshots[1]);
      const { problems } = await verifyStore({ store, publicKey, releases: scene.releases });
      assert.deepEqual(problems, []);
      assert.deepEqual(await readdir(store.asideFolder), []);
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      assert.match(String(error instanceof Error && 'code' in error && error.code), KNOWN_CODES);
      await requireUntouched(store);
    }
    await store.discard();
  };
  const position = fc.nat(archive.length - 1);
  const mutated = fc.oneof(
    fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes)),
    fc.record({ at: position, bit: fc.nat(7) }).map(({ at, bit }) => {
      const bytes = Buffer.from(archive);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
      return bytes;
    }),
    // Headers are few among so many bytes.
    fc.record({ member: fc.nat(members.length - 1), at: fc.nat(511), byte: fc.nat(255) }).map((change) => {
      const before = archiveOf(members.slice(0, change.member)).length - TAR_END.length;
      const bytes = archiveOf(members);
      bytes[before + change.at] = change.byte;
      return bytes;
    }),
    position.map((end) => archive.subarray(0, end)),
    fc.shuffledSubarray(members, { minLength: 1 }).map(archiveOf),
    fc
      .record({ at: fc.nat(members.length), path: fc.string(), content: fc.uint8Array({ maxLength: 2000 }) })
      .map(({ at, path, content }) =>
        archiveOf(
          members.toSpliced(at, 0, { path: path.replaceAll('\0', ''), content: Buffer.from(content) }),
        ),
      ),
  );
  await fc.assert(fc.asyncProperty(mutated, tried), { numRuns: 150 });
});

const KNOWN_CODES =
  /^(IMPORT_REFUSED|SIGNATURE_INVALID|MANIFEST_DAMAGED|PACK_INDEX_DAMAGED|PIECE_DAMAGED|OBJECT_DAMAGED|TAR_DAMAGED|TAR_CUT_OFF)$/;

/** The path of a module beside this one, as a string of a program. */
function at(path: string): string {
  return JSON.stringify(new URL(path, import.meta.url).pathname);
}

test('an import that is killed leaves nothing listed, and the next command cleans up', async (t: TestContext) => {
  const scene = await twoSnapshots(t);
  const file = join(scene.directory, 'archive.tar');
  const archive = await exportSecond(scene);
  await writeFile(file, archive);
  const store = await emptyStore(scene, 'other');
  const pem = join(scene.directory, 'key.pem');
  await writeFile(pem, publicKey.export({ type: 'spki', format: 'pem' }));
  const program = `
    import { createPublicKey } from 'node:crypto';
    import { readFileSync } from 'node:fs';
    import { Store } from ${at('../store/store.ts')};
    import { importSnapshot } from ${at('import-snapshot.ts')};
    const store = await Store.open(${JSON.stringify(store.directory)});
    const key = createPublicKey(readFileSync(${JSON.stringify(pem)}));
    async function* archive() {
      const bytes = readFileSync(${JSON.stringify(file)});
      yield bytes.subarray(0, 2_000_000);
      await new Promise((resolve) => setImmediate(resolve));
      process.kill(process.pid, 'SIGKILL');
    }
    await importSnapshot(store, archive(), key);`;
  await assert.rejects(run(process.execPath, ['--input-type=module', '--eval', program]), /SIGKILL/);
  assert.equal((await readdir(store.asideFolder)).length, 1);
  assert.deepEqual(await store.listSnapshots(), []);
  await requireUntouched(await Store.open(store.directory));
  assert.ok((await take(store, archive)).isNew);
});
