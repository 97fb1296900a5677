import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { checkObjects, checkPieces } from './check-pack.ts';
import { sha256 } from './digest.ts';
import { DirectorySource } from './directory-source.ts';
import { FRAME_SIZE, FrameCompressor } from './frame.ts';
import { ObjectReader } from './object-reader.ts';
import type { ObjectRef } from './pack-index.ts';
import { PackReader } from './pack-reader.ts';
import { PackWriter } from './pack-writer.ts';
import { Store } from './store.ts';

const compressor = new FrameCompressor();
after(() => compressor.close());

async function storeOf(t: TestContext): Promise<Store> {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-check-'));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  return await Store.open(directory);
}

function refOf(object: Buffer, digest = sha256(object)): ObjectRef {
  return { digest, size: object.length };
}

const WRONG = 'ab'.repeat(32);

/** A pack whose pieces are as its index says, and of whose objects some are not. */
async function lyingPack(store: Store): Promise<{ id: string; large: string; readers: PackReader[] }> {
  const base = randomBytes(200_000);
  const first = await PackWriter.create(store, 'run');
  first.addObjects([refOf(base)]);
  await first.addFrame(compressor.compress(base), base.length);
  const basePack = await first.finish();

  const writer = await PackWriter.create(store, 'run');
  const small = [Buffer.from('one'), Buffer.from('two'), Buffer.from('three')];
  writer.addObjects(small.map((object, i) => refOf(object, i === 1 ? WRONG : undefined)));
  const together = Buffer.concat(small);
  await writer.addFrame(compressor.compress(together), together.length);
  const large = randomBytes(2 * FRAME_SIZE);
  writer.addObjects([refOf(large)]);
  for (const part of [large.subarray(0, FRAME_SIZE), randomBytes(FRAME_SIZE)]) {
    await writer.addFrame(compressor.compress(part), part.length);
  }
  const patched = Buffer.concat([base, Buffer.from('more')]);
  writer.addObjects([refOf(patched)]);
  await writer.addFrame(compressor.patch(patched, base) ?? Buffer.alloc(0), patched.length, [refOf(base)]);
  const garbled = Buffer.from('garbled');
  writer.addObjects([refOf(garbled)]);
  await writer.addFrame(Buffer.from('no frame of zstd'), garbled.length);
  const pack = await writer.finish();
  assert.ok(basePack !== undefined && pack !== undefined);
  const source = new DirectorySource(store.directory);
  const readers = [await PackReader.open(source, basePack.id), await PackReader.open(source, pack.id)];
  return { id: pack.id, large: sha256(large), readers };
}

test('objects that are not what the index says are named, though every piece is', async (t) => {
  const store = await storeOf(t);
  const { id, large, readers } = await lyingPack(store);
  const [, pack] = readers;
  assert.ok(pack !== undefined);
  assert.deepEqual((await checkPieces(store.packPath(id), pack.index)).damaged, []);
  const wrong = await checkObjects(pack, new ObjectReader(readers), []);
  assert.deepEqual(wrong.slice(0, 2), [`object ${WRONG} is damaged`, `object ${large} is damaged`]);
  assert.match(wrong[2] ?? '', /^frame 4 cannot be decompressed: /);
  assert.equal(wrong.length, 3);
});

test('what lies in damaged pieces is left out, and so is what is based on what cannot be read', async (t) => {
  const store = await storeOf(t);
  const { id, readers } = await lyingPack(store);
  const [base, pack] = readers;
  assert.ok(base !== undefined && pack !== undefined);
  const bytes = randomBytes(pack.index.bytes);
  await writeFile(store.packPath(id), bytes);
  const { damaged } = await checkPieces(store.packPath(id), pack.index);
  assert.deepEqual(damaged, [0, 1, 2]);
  assert.deepEqual(await checkObjects(pack, new ObjectReader(readers), damaged), []);
});

test('a pack that is cut off, too long or gone is not what its index says', async (t) => {
  const store = await storeOf(t);
  const { id, readers } = await lyingPack(store);
  const index = readers[1]?.index;
  assert.ok(index !== undefined);
  const path = store.packPath(id);
  await truncate(path, index.bytes + 1);
  assert.deepEqual(await checkPieces(path, index), { bytes: index.bytes + 1, damaged: [] });
  await truncate(path, 1024 * 1024 + 1);
  assert.deepEqual(await checkPieces(path, index), { bytes: 1024 * 1024 + 1, damaged: [1, 2] });
  await rm(path);
  assert.deepEqual(await checkPieces(path, index), { bytes: undefined, damaged: [0, 1, 2] });
});
