/** What comes from elsewhere is hostile: it is refused by name, or is what was signed, and never leaves the directory. */
import assert from 'node:assert/strict';
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { BladerootError, errorCode } from '../errors.ts';
import { sha256 } from '../store/digest.ts';
import { FrameCompressor } from '../store/frame.ts';
import { PackWriter } from '../store/pack-writer.ts';
import { Store } from '../store/store.ts';
import { encodeManifest, type FileEntry, type ManifestEntry } from './manifest.ts';
import type { SnapshotStatement } from './statement.ts';
import { assertSameTree, describeTree } from './testing/describe-tree.ts';
import { dense, makeTree, plain } from './testing/make-tree.ts';
import { remove, scratch } from './testing/scratch.ts';
import { pack, unpack } from './testing/snapshot-of.ts';

const compressor = new FrameCompressor();
after(() => compressor.close());

const MIB = 1024 * 1024;
const DIR = { type: 'dir' } as const;
const META = { mode: 0o755, uid: 0, gid: 0, mtime: '1700000000', xattrs: new Map<string, Buffer>() };
const ROOT: ManifestEntry = { path: '', layer: 'run', type: 'dir', ...META };

function file(path: string, content: Buffer, more: Partial<FileEntry> = {}): FileEntry {
  const objects = [{ digest: sha256(content), size: content.length }];
  return {
    path,
    layer: 'run',
    type: 'file',
    ...META,
    size: content.length,
    extents: undefined,
    objects,
    ...more,
  };
}

test('whatever byte of a store is another, unpacking refuses it or gives what was packed, and nothing outside changes', async (t) => {
  const base = await scratch(t);
  const [tree, outside] = [join(base, 'tree'), join(base, 'outside')];
  await makeTree(tree, [
    plain('', DIR),
    plain('d', DIR),
    ...[3, 5000, 2 * MIB].map((size) => plain(`d/${size}`, dense(size))),
    plain('out', { type: 'symlink', target: outside }),
    { type: 'hardlink', path: 'again', target: 'd/3' },
  ]);
  await makeTree(outside, [plain('', DIR), plain('3', dense(10))]);
  const [before, expected] = [await describeTree(outside), await describeTree(tree)];
  const good = await Store.open(join(base, 'store'));
  const { statement } = await pack(tree, good);
  const paths = (await readdir(good.directory, { recursive: true })).filter((path) => path.includes('.'));
  assert.equal(paths.length, 3, 'a pack, its index, a manifest');
  let [round, refused] = [0, 0];
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...paths),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      async (path, at, flip) => {
        const copy = join(base, `store-${round}`);
        const out = join(base, `out-${round++}`);
        await cp(good.directory, copy, { recursive: true });
        const bytes = await readFile(join(copy, path));
        const place = at % bytes.length;
        bytes[place] = (bytes[place] ?? 0) ^ flip;
        await writeFile(join(copy, path), bytes);
        try {
          await unpack(await Store.open(copy), statement, out);
          await assertSameTree(out, expected);
        } catch (error) {
          assert.match(errorCode(error) ?? String(error), /^(MANIFEST|PACK_INDEX|PIECE)_DAMAGED$/);
          refused++;
        }
        await assertSameTree(outside, before);
        await remove(copy);
      },
    ),
    { numRuns: 12, endOnFailure: true },
  );
  assert.ok(refused > 6, `${refused} of ${round} were refused`);
});

/** A snapshot that somebody made who signs whatever they like. */
async function lyingSnapshot(
  store: Store,
  entries: readonly ManifestEntry[],
  frames: readonly { objects: readonly Buffer[]; bytes?: Buffer; size?: number }[],
  change: (statement: SnapshotStatement) => SnapshotStatement = (statement) => statement,
): Promise<SnapshotStatement> {
  const writer = await PackWriter.create(store, 'run');
  for (const { objects, bytes, size } of frames) {
    const whole = Buffer.concat(objects);
    writer.addObjects(objects.map((object) => ({ digest: sha256(object), size: object.length })));
    await writer.addFrame(bytes ?? compressor.compress(whole), size ?? whole.length);
  }
  const written = await writer.finish();
  const manifest = encodeManifest(entries);
  const { id } = await store.putManifest([manifest]);
  const objects = entries.flatMap((entry) => (entry.type === 'file' ? entry.objects : []));
  const statement: SnapshotStatement = {
    type: 'bladeroot-snapshot',
    version: 1,
    id,
    tree: 'lies',
    created: '2026-01-02T03:04:05.000Z',
    manifest: { bytes: manifest.length, storedBytes: await store.manifestBytes(id), deltas: [] },
    layers: [
      {
        name: 'run',
        entries: entries.length,
        bytes: objects.reduce((sum, { size }) => sum + size, 0),
        objects: objects.length,
        ways: [written === undefined ? [] : [written]],
      },
    ],
    storedBytes: 0,
  };
  return change(statement);
}

test('who lies about lengths is refused: of frames, of layers, of the manifest, of files', async (t) => {
  const base = await scratch(t);
  const content = Buffer.from('what it is');
  const bomb = zstdCompressSync(Buffer.alloc(256 * MIB));
  const entries = [ROOT, file('a', content)];
  const cases: [what: string, make: (store: Store) => Promise<SnapshotStatement>, code: RegExp][] = [
    [
      'a frame that becomes 256 MiB',
      async (store) => await lyingSnapshot(store, entries, [{ objects: [content], bytes: bomb }]),
      /^PACK_DAMAGED$/,
    ],
    [
      'a frame that is too short',
      async (store) =>
        await lyingSnapshot(store, entries, [
          { objects: [content], bytes: Buffer.from(compressor.compress(Buffer.from('short'))) },
        ]),
      /^PACK_DAMAGED$/,
    ],
    [
      'a frame that is no frame',
      async (store) =>
        await lyingSnapshot(store, entries, [{ objects: [content], bytes: Buffer.from('nothing') }]),
      /^PACK_DAMAGED$/,
    ],
    ['no such object', async (store) => await lyingSnapshot(store, entries, []), /^SNAPSHOT_INCOMPLETE$/],
    [
      'an object of another length',
      async (store) => {
        const objects = [{ digest: sha256(content), size: 3 }];
        return await lyingSnapshot(
          store,
          [ROOT, file('a', content, { size: 3, objects })],
          [{ objects: [content] }],
        );
      },
      /^SNAPSHOT_INCOMPLETE$/,
    ],
    [
      'a layer that is longer than it says',
      async (store) =>
        await lyingSnapshot(store, entries, [{ objects: [content] }], (statement) => ({
          ...statement,
          layers: statement.layers.map((layer) => ({ ...layer, bytes: layer.bytes - 1 })),
        })),
      /^SNAPSHOT_INCOMPLETE$/,
    ],
    [
      'a manifest that is longer than it says',
      async (store) =>
        await lyingSnapshot(store, entries, [{ objects: [content] }], (statement) => ({
          ...statement,
          manifest: { ...statement.manifest, bytes: statement.manifest.bytes - 1 },
        })),
      /^MANIFEST_DAMAGED$/,
    ],
    [
      'a compressed manifest that is longer than it says',
      async (store) =>
        await lyingSnapshot(store, entries, [{ objects: [content] }], (statement) => ({
          ...statement,
          manifest: { ...statement.manifest, storedBytes: statement.manifest.storedBytes - 1 },
        })),
      /^SOURCE_TOO_LONG$/,
    ],
    [
      'a file longer than any disk',
      async (store) => {
        const sparse = file('a', content, { size: 2 ** 52, extents: [[0, content.length]] });
        return await lyingSnapshot(store, [ROOT, sparse], [{ objects: [content] }]);
      },
      /^UNPACK_FAILED$/,
    ],
    [
      'a name longer than any file system takes',
      async (store) => await lyingSnapshot(store, [ROOT, { ...ROOT, path: 'n'.repeat(300) }], []),
      /^UNPACK_FAILED$/,
    ],
  ];
  for (const [i, [what, make, code]] of cases.entries()) {
    const store = await Store.open(join(base, `store-${i}`));
    const statement = await make(store);
    const begun = performance.now();
    await assert.rejects(unpack(store, statement, join(base, `out-${i}`)), (error) => {
      assert.ok(error instanceof BladerootError, `${what}: ${String(error)}`);
      assert.match(error.code, code, `${what}: ${error.message}`);
      return true;
    });
    assert.ok(performance.now() - begun < 20_000, what);
  }
});
