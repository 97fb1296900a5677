/** Packing a tree again: only what changed is read, and nothing that changed is missed. */
import assert from 'node:assert/strict';
import { lstatSync } from 'node:fs';
import { link, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { Store } from '../store/store.ts';
import { run } from '../system/run.ts';
import { parseManifest, type ManifestEntry } from './manifest.ts';
import type { PackOptions } from './pack.ts';
import { assertSameTree } from './testing/describe-tree.ts';
import { dense, makeTree, plain, type ThingToMake } from './testing/make-tree.ts';
import { scratch } from './testing/scratch.ts';
import { pack, unpack, type Packed } from './testing/snapshot-of.ts';

const MIB = 1024 * 1024;
const DIR = { type: 'dir' } as const;
const ROOT = plain('', DIR);

class Place {
  readonly base: string;
  readonly tree: string;
  readonly store: Store;
  last: Packed | undefined;

  private constructor(base: string, store: Store) {
    this.base = base;
    this.tree = join(base, 'tree');
    this.store = store;
  }

  /** A tree that has been packed once, and long enough ago that its times tell of every change. */
  static async packed(t: TestContext, things: readonly ThingToMake[], options?: PackOptions): Promise<Place> {
    const base = await scratch(t);
    const place = new Place(base, await Store.open(join(base, 'store')));
    await makeTree(place.tree, things);
    // Longer than a tick of the kernel's clock.
    await wait(50);
    await place.pack(options);
    return place;
  }

  at(path: string): string {
    return join(this.tree, path);
  }

  /** Packs upon the last snapshot. */
  async pack(options?: PackOptions): Promise<Packed> {
    const cacheFolder = join(this.base, 'cache');
    this.last = await pack(this.tree, this.store, { base: this.last?.statement, cacheFolder, ...options });
    return this.last;
  }

  /** As somebody packs it who has never seen it: must come to the same. */
  async packAfresh(options?: PackOptions): Promise<Packed> {
    return await pack(this.tree, await Store.open(join(this.base, 'afresh')), options);
  }

  async entries(): Promise<Map<string, ManifestEntry>> {
    const manifest = await this.store.readManifest(this.last?.id ?? '');
    return new Map(parseManifest(manifest).map((entry) => [entry.path, entry]));
  }

  /** That what was packed last comes back as the tree is now. */
  async requireExact(): Promise<void> {
    assert.ok(this.last !== undefined);
    const out = join(this.base, 'out');
    await unpack(this.store, this.last.statement, out);
    await assertSameTree(out, this.tree);
  }
}

const SOME = [
  ROOT,
  plain('a', DIR),
  ...['a/one', 'a/two', 'a/three'].map((path) => plain(path, dense(1000, path.length))),
  plain('large', dense(20 * MIB)),
  plain(
    'sparse',
    { type: 'file', size: 30 * MIB, data: [[9 * MIB, MIB, 7]] },
    { xattrs: { 'user.x': '01' } },
  ),
  plain('hole', { type: 'file', size: MIB, data: [] }, { xattrs: { 'user.x': '02' } }),
  plain('link', { type: 'symlink', target: 'a/one' }),
  plain('fifo', { type: 'fifo' }),
  { type: 'hardlink', path: 'z', target: 'a/two' } as const,
];

test('nothing changed: no file is read, and it is the same snapshot with nothing new', async (t) => {
  const place = await Place.packed(t, SOME);
  const first = place.last;
  const again = await place.pack();
  assert.deepEqual([again.id, again.filesRead, again.newObjects, again.newBytes], [first?.id, 0, 0, 0]);
  assert.deepEqual(again.layers, first?.layers);
  await place.requireExact();
});

test('nothing changed, but packs are gone from the store: that is not the same snapshot', async (t) => {
  const place = await Place.packed(t, SOME);
  const [pack] = place.last?.statement.layers[0]?.ways.flat() ?? [];
  assert.ok(pack !== undefined);
  await rm(place.store.packPath(pack.id));
  await rm(place.store.packIndexPath(pack.id));
  await assert.rejects(place.pack(), { code: 'SOURCE_MISSING' });
});

test('one file changed: one is read, and what is new is little', async (t) => {
  const place = await Place.packed(t, SOME);
  const content = await readFile(place.at('large'));
  content.write('changed', 10 * MIB);
  await writeFile(place.at('large'), content);
  const again = await place.pack();
  assert.equal(again.filesRead, 1);
  // A patch on the part that the change is in, not that part, which has 2 MiB at least.
  assert.ok(again.newBytes < MIB / 2, `${again.newBytes} bytes for 7`);
  assert.equal(again.id, (await place.packAfresh()).id);
  await place.requireExact();
});

test('a file that was only touched is read, and nothing of it is new', async (t) => {
  const place = await Place.packed(t, SOME);
  await utimes(place.at('a/one'), 5, 5);
  const again = await place.pack();
  assert.deepEqual([again.filesRead, again.newObjects], [1, 0]);
  assert.equal((await place.entries()).get('a/one')?.type, 'file');
  await place.requireExact();
});

test('what has changed but content and time of writing is seen: owner, mode, xattrs, a file put in its place', async (t) => {
  const place = await Place.packed(t, SOME);
  await run('chown', ['5:6', place.at('a/one')]);
  await run('chmod', ['4711', place.at('a/two')]);
  await run('setfattr', ['--name=user.new', '--value=x', place.at('a/three')]);
  await run('setfattr', ['--name=user.x', '--value=y', place.at('hole')]);
  await run('chown', ['--no-dereference', '7', place.at('link')]);
  await run('cp', ['--archive', place.at('large'), place.at('copy')]);
  await rename(place.at('copy'), place.at('large'));
  await run('touch', ['--date=@1700000000.123456789', place.tree]);
  const again = await place.pack();
  assert.deepEqual([again.filesRead, again.newObjects], [5, 0]);
  await place.requireExact();
});

test('a change within the same tick of the clock, right after packing, with the times set back, is seen', async (t) => {
  const place = await Place.packed(t, SOME);
  const path = place.at('a/one');
  for (let round = 0; round < 4; round++) {
    const { atime, mtime } = lstatSync(path);
    const before = `${round}`.repeat(1000);
    await writeFile(path, before);
    await utimes(path, atime, mtime);
    await place.pack();
    await writeFile(path, before.replaceAll(String(round), 'x'));
    await utimes(path, atime, mtime);
    const { id } = await place.pack();
    assert.equal(id, (await place.packAfresh()).id, `round ${round}`);
  }
});

test('hard links that come and go are seen, and whatever name comes first', async (t) => {
  const place = await Place.packed(t, [
    ROOT,
    ...['b', 'd'].map((path) => plain(path, DIR)),
    plain('b/file', dense(1000)),
    { type: 'hardlink', path: 'd/same', target: 'b/file' },
    plain('alone', dense(500)),
  ]);
  const changes: [what: string, change: () => Promise<void>][] = [
    ['a name more', async () => await link(place.at('alone'), place.at('another'))],
    ['the first name is gone', async () => await rm(place.at('alone'))],
    // None of these changes anything about the file itself: the directories of its names are renamed.
    ['the other name comes first', async () => await rename(place.at('d'), place.at('a'))],
    ['and not any more', async () => await rename(place.at('a'), place.at('d'))],
    ['the first name has moved behind', async () => await rename(place.at('b'), place.at('z'))],
  ];
  for (const [what, change] of changes) {
    await change();
    const { id } = await place.pack();
    assert.equal(id, (await place.packAfresh()).id, what);
    await place.requireExact();
  }
});

test('what moves between the layers is where each layer can read it', async (t) => {
  const place = await Place.packed(t, SOME);
  const first = place.last?.id;
  const run = join(place.base, 'run');
  for (const extra of [['/large', '/a/'], ['/sparse', '/a/two', '/z'], []]) {
    const packed = await place.pack({ patterns: { extra, exclude: [] } });
    assert.equal(packed.id, (await place.packAfresh({ patterns: { extra, exclude: [] } })).id);
    await place.requireExact();
    // Without a byte of the other layer's packs.
    const bare = join(place.base, 'bare');
    await Store.open(bare);
    const ids = (packed.statement.layers[0]?.ways ?? []).flat().map(({ id }) => id);
    for (const id of ids) {
      for (const end of ['pack', 'json.zst'])
        await writeFile(
          join(bare, 'packs', `${id}.${end}`),
          await readFile(join(place.store.directory, 'packs', `${id}.${end}`)),
        );
    }
    await writeFile(
      join(bare, 'manifests', `${packed.id}.zst`),
      await readFile(place.store.manifestPath(packed.id)),
    );
    await unpack(await Store.open(bare), packed.statement, run, { layers: ['run'] });
    await unpack(place.store, packed.statement, run);
    await assertSameTree(run, place.tree);
  }
  assert.equal(place.last?.id, first, 'where it began');
});

test('patterns that change decide anew, though no file did', async (t) => {
  const place = await Place.packed(t, SOME, { patterns: { extra: [], exclude: ['/a/two'] } });
  for (const exclude of [[], ['/z'], ['/a/'], []]) {
    const { id } = await place.pack({ patterns: { extra: [], exclude } });
    assert.equal(id, (await place.packAfresh({ patterns: { extra: [], exclude } })).id, exclude.join());
  }
  await place.requireExact();
});

test('a cache that is damaged, of another tree, or too old costs time and nothing else', async (t) => {
  const place = await Place.packed(t, SOME);
  const folder = join(place.base, 'cache');
  const [name = ''] = await readdir(folder);
  const good = await readFile(join(folder, name));
  for (const bytes of [Buffer.from('nonsense'), Buffer.alloc(0), good.subarray(0, -10)]) {
    await writeFile(join(folder, name), bytes);
    const notes: string[] = [];
    const again = await place.pack({ onNote: (note) => notes.push(note) });
    assert.equal(again.filesRead, 6);
    assert.match(notes.join(), /all is read, as .*cache.* cannot be used/);
    assert.equal(again.newObjects, 0);
  }
  // A store that has not got what the cache was made for.
  await writeFile(join(folder, name), good);
  const other = await Store.open(join(place.base, 'other'));
  const elsewhere = await pack(place.tree, other, { cacheFolder: folder });
  assert.equal(elsewhere.id, place.last?.id);
  await unpack(other, elsewhere.statement, join(place.base, 'from-other'));
  await assertSameTree(join(place.base, 'from-other'), place.tree);
});
