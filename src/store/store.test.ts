import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { run, runForBytes } from '../system/run.ts';
import { sha256 } from './digest.ts';
import { fetchBlob, fetchBytes, fetchManifest } from './fetch.ts';
import { ObjectReader } from './object-reader.ts';
import { FRAME_SIZE, FrameCompressor } from './frame.ts';
import { encodePackIndex, parsePackIndex, PIECE_SIZE, type ObjectRef } from './pack-index.ts';
import { PackReader } from './pack-reader.ts';
import { PackWriter } from './pack-writer.ts';
import { DirectorySource } from './directory-source.ts';
import { Store } from './store.ts';

const compressor = new FrameCompressor();
after(() => compressor.close());

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-store-'));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  return directory;
}

/** A pack of objects in frames: one of several objects, a large object in several frames, and a patch on a base. */
async function writePack(store: Store): Promise<{ id: string; objects: Buffer[]; base: string }> {
  const based = randomBytes(500_000);
  const baseWriter = await PackWriter.create(store, 'run');
  baseWriter.addObjects([refOf(based)]);
  await baseWriter.addFrame(compressor.compress(based), based.length);
  const base = (await baseWriter.finish())?.id ?? '';

  const large = Buffer.concat([randomBytes(PIECE_SIZE + 5), Buffer.alloc(2 * PIECE_SIZE, 'l')]);
  const small = [Buffer.from('one'), randomBytes(700_000), Buffer.from('two')];
  const patched = Buffer.concat([based.subarray(0, 1000), Buffer.from('new'), based.subarray(1000)]);
  const writer = await PackWriter.create(store, 'run');
  writer.addObjects(small.map(refOf));
  const together = Buffer.concat(small);
  await writer.addFrame(compressor.compress(together), together.length);
  writer.addObjects([refOf(large), refOf(patched)]);
  for (let start = 0; start < large.length; start += FRAME_SIZE) {
    const part = large.subarray(start, start + FRAME_SIZE);
    await writer.addFrame(compressor.compress(part), part.length);
  }
  const patch = compressor.patch(patched, based);
  assert.ok(patch !== undefined && patch.length < 200);
  await writer.addFrame(patch, patched.length, [refOf(based)]);
  const pack = await writer.finish();
  assert.ok(pack !== undefined);
  return { id: pack.id, objects: [...small, large, patched], base };
}

async function zstd(...args: string[]): Promise<Buffer> {
  return await runForBytes('zstd', ['--decompress', '--quiet', '--stdout', ...args]);
}

function refOf(object: Buffer): ObjectRef {
  return { digest: sha256(object), size: object.length };
}

async function readerOf(store: Store, ...packs: string[]): Promise<ObjectReader> {
  const source = new DirectorySource(store.directory);
  return new ObjectReader(await Promise.all(packs.map(async (id) => await PackReader.open(source, id))));
}

test('zstd itself reads a pack, with what a patch is based on, and the index vouches for every byte', async (t) => {
  const directory = await scratch(t);
  const store = await Store.open(directory);
  const { id, base, objects } = await writePack(store);
  const index = await store.readPackIndex(id);
  assert.deepEqual(index.objects, objects.map(refOf));

  const bytes = await readFile(store.packPath(id));
  const alone = index.bytes - (index.frames.at(-1)?.bytes ?? 0);
  await writeFile(join(directory, 'alone.zst'), bytes.subarray(0, alone));
  await writeFile(join(directory, 'patch.zst'), bytes.subarray(alone));
  await writeFile(join(directory, 'base'), await zstd(store.packPath(base)));
  const content = Buffer.concat([
    await zstd(join(directory, 'alone.zst')),
    await zstd(`--patch-from=${join(directory, 'base')}`, join(directory, 'patch.zst')),
  ]);
  assert.deepEqual(content, Buffer.concat(objects));

  assert.equal(sha256(await zstd(store.packIndexPath(id))), id);
  assert.equal(bytes.length, index.bytes);
  const pieces = index.pieces.map((_, i) => sha256(bytes.subarray(i * PIECE_SIZE, (i + 1) * PIECE_SIZE)));
  assert.deepEqual(pieces, index.pieces);
});

test('single objects are read by random access, and a damaged one is refused', async (t) => {
  const store = await Store.open(await scratch(t));
  const { id, base, objects } = await writePack(store);
  const reader = await readerOf(store, base, id);
  for (const object of objects.toReversed()) assert.deepEqual(await reader.read(sha256(object)), object);
  await assert.rejects(reader.read('0'.repeat(64)), { code: 'OBJECT_MISSING' });

  const bytes = await readFile(store.packPath(id));
  bytes.fill(0, 1000, 1100);
  await writeFile(store.packPath(id), bytes);
  const fresh = await readerOf(store, base, id);
  await assert.rejects(fresh.read(sha256(objects[1] ?? Buffer.alloc(0))), {
    code: 'PIECE_DAMAGED',
  });
});

test('an index that contradicts itself is refused even under its right id', async (t) => {
  const store = await Store.open(await scratch(t));
  const { id } = await writePack(store);
  const text = encodePackIndex(await store.readPackIndex(id)).toString();
  const spoiled = [
    text.replace(/"bytes":(\d+),"pieces"/, '"bytes":1,"pieces"'),
    text.replace(/"frames":\[\{[^}]*\},/, '"frames":['),
    text.replace(/("objects":\[)(\{[^}]*\},)/, '$1$2$2'),
    text.replace(/"size":\d+\}\]/, '"size":99999999}]'),
    text.replace('"layer":"run"', '"layer":"other"'),
    text.replace(':', ': '),
    '[]',
    'no json',
  ];
  for (const bytes of spoiled.map((json) => Buffer.from(json))) {
    assert.throws(() => parsePackIndex(sha256(bytes), bytes, 'test'), { code: 'PACK_INDEX_DAMAGED' });
  }
});

test('what a crashed process left is removed at the next start, what a living one writes is not', async (t) => {
  const directory = await scratch(t);
  const store = await Store.open(directory);
  const living = await store.createAside();
  const program = `
    import { Store } from ${JSON.stringify(new URL('store.ts', import.meta.url).pathname)};
    const store = await Store.open(${JSON.stringify(directory)});
    await store.createAside();
    process.kill(process.pid, 'SIGKILL');`;
  await assert.rejects(run(process.execPath, ['--input-type=module', '--eval', program]), /SIGKILL/);
  assert.equal((await readdir(store.asideFolder)).length, 2);
  await Store.open(directory);
  assert.ok(existsSync(living.path));
  assert.equal((await readdir(store.asideFolder)).length, 1);
  await living.discard();
});

test('blobs, manifests and snapshots come back as they were stored, and damage is noticed', async (t) => {
  const directory = await scratch(t);
  const store = await Store.open(directory);
  const source = new DirectorySource(directory);
  const blob = await store.putBlob(Buffer.from('kernel'));
  await writeFile(join(directory, 'file'), 'kernel');
  assert.equal(await store.putBlob(join(directory, 'file')), blob);
  assert.equal((await fetchBlob(source, blob, 6)).toString(), 'kernel');
  await assert.rejects(fetchBlob(source, blob, 5), { code: 'SOURCE_TOO_LONG' });
  await writeFile(store.blobPath(blob), 'Kernel');
  await assert.rejects(fetchBlob(source, blob, 6), { code: 'BLOB_DAMAGED' });
  await assert.rejects(fetchBlob(source, 'a'.repeat(64), 6), { code: 'SOURCE_MISSING' });
  await assert.rejects(fetchBlob(source, '../file', 6), { code: 'BAD_DIGEST' });

  const manifest = Buffer.alloc(100_000, 'manifest');
  const { id } = await store.putManifest([manifest]);
  const storedBytes = await store.manifestBytes(id);
  assert.deepEqual(await store.readManifest(id), manifest);
  const ref = { id, bytes: manifest.length, storedBytes };
  assert.deepEqual(await fetchManifest(source, ref), manifest);
  await assert.rejects(fetchManifest(source, { ...ref, bytes: 99_999 }), { code: 'MANIFEST_DAMAGED' });
  await assert.rejects(store.readManifest('b'.repeat(64)), { code: 'MANIFEST_MISSING' });

  await store.putSnapshot(id, Buffer.from('{"signed":true}'));
  assert.deepEqual(await store.listSnapshots(), [id]);
  assert.equal((await store.readSnapshot(id)).toString(), '{"signed":true}');
  assert.deepEqual(await readdir(store.asideFolder), []);
});

test('fetching bytes stops at the limit', async (t) => {
  const directory = await scratch(t);
  await writeFile(join(directory, 'x'), Buffer.alloc(5000));
  const source = new DirectorySource(directory);
  await assert.rejects(fetchBytes(source, 'x', { maxBytes: 4999 }), { code: 'SOURCE_TOO_LONG' });
  assert.equal((await fetchBytes(source, 'x', { maxBytes: 5000 })).length, 5000);
});
