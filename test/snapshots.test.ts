/** Managing snapshots on the command line. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { z } from 'zod';
import { createKeys, readPrivateKey, readPublicKey } from '../src/release/keys.ts';
import { sampleRelease } from '../src/release/release.fixture.ts';
import { ReleaseRepository } from '../src/release/repository.ts';
import { serveHttp } from '../src/serve/http-server.fixture.ts';
import { sendFile } from '../src/serve/send-file.ts';
import { Store } from '../src/store/store.ts';
import { run } from '../src/system/run.ts';
import { place, type Ended, type Place } from './bladeroot.fixture.ts';

interface Scene extends Place {
  /** Runs `bladeroot snapshot`, which has to succeed; what it prints. */
  snapshot(...args: string[]): Promise<string>;
  json(...args: string[]): Promise<unknown>;
  fails(...args: string[]): Promise<Ended>;
  tree: string;
  /** The ids of two snapshots of the tree. */
  ids: [string, string];
}

const packed = z.object({ id: z.string() });

async function twoSnapshots(t: TestContext): Promise<Scene> {
  const where = await place(t);
  await createKeys(where.state);
  const snapshot = async (...args: string[]): Promise<string> => {
    const { status, stdout, stderr } = await where.bladeroot(['snapshot', ...args]);
    assert.equal(status, 0, stderr);
    return stdout;
  };
  const json = async (...args: string[]): Promise<unknown> => JSON.parse(await snapshot(...args, '--json'));
  const fails = async (...args: string[]): Promise<Ended> => {
    const ended = await where.bladeroot(['snapshot', ...args]);
    assert.equal(ended.status, 1, ended.stdout);
    return ended;
  };
  const tree = join(where.fleet, 'web');
  await mkdir(join(tree, 'usr/share/doc'), { recursive: true });
  await writeFile(join(tree, 'kernel'), randomBytes(2_500_000));
  await writeFile(join(tree, 'usr/share/doc/readme'), 'for who reads');
  const first = packed.parse(await json('pack', `${tree}/`));
  await writeFile(join(tree, 'added\n'), 'new');
  await rm(join(tree, 'usr/share/doc/readme'));
  await run('chmod', ['600', join(tree, 'kernel')]);
  const second = packed.parse(await json('pack', `${tree}/`, '--tag', 'testing'));
  return { ...where, snapshot, json, fails, tree, ids: [first.id, second.id] };
}

test('diff lists what was added, removed and changed; names that a terminal would obey are quoted', async (t) => {
  const { snapshot, json, ids } = await twoSnapshots(t);
  const lines = (await snapshot('diff', ids[0].slice(0, 8), 'testing')).trimEnd().split('\n');
  assert.deepEqual(lines, [
    'metadata  / (mtime)',
    'added     "/added\\n" (3 B)',
    'metadata  /kernel (mode)',
    'metadata  /usr/share/doc (mtime)',
    'removed   /usr/share/doc/readme (13 B)',
    '1 added (3 B), 1 removed (13 B), 0 changed (0 B), 3 in metadata only',
  ]);
  const back = z
    .object({
      from: z.string(),
      to: z.string(),
      added: z.unknown(),
      removed: z.unknown(),
      changed: z.array(z.unknown()),
    })
    .parse(await json('diff', ids[1], ids[0]));
  assert.deepEqual([back.from, back.to], [ids[1], ids[0]]);
  assert.deepEqual(back.added, [{ path: 'usr/share/doc/readme', type: 'file', size: 13 }]);
  assert.deepEqual(back.removed, [{ path: 'added\n', type: 'file', size: 3 }]);
  assert.equal(back.changed.length, 3);
});

test('tags are set by pack and tag, listed, shown, moved and removed', async (t) => {
  const { snapshot, json, fails, ids } = await twoSnapshots(t);
  assert.deepEqual(await json('tag'), [{ tag: 'testing', id: ids[1] }]);
  await snapshot('tag', 'stable', ids[0].slice(0, 6));
  assert.match(await snapshot('list'), new RegExp(`^${ids[0].slice(0, 12)}  web .* stable$`, 'm'));
  assert.match(
    await snapshot('show', 'stable'),
    new RegExp(`^snapshot  ${ids[0]}$[^]*^tags      stable$`, 'm'),
  );
  await snapshot('tag', 'stable', 'testing');
  assert.match(await snapshot('show', 'web'), /^tags {6}stable testing\nreleases {2}none\nmanifest /m);
  await snapshot('tag', '--remove', 'stable');
  assert.match((await fails('show', 'stable')).stderr, /no snapshot stable/);
  assert.match(
    (await fails('tag', '--remove', 'stable')).stderr,
    /no tag stable; `bladeroot snapshot tag` lists/,
  );
  assert.match(
    (await fails('tag', '../x', 'testing')).stderr,
    /"\.\.\/x" cannot be a tag; a tag has up to 100/,
  );
  assert.match((await fails('tag', 'ab'.repeat(32), 'testing')).stderr, /looks like the id of a snapshot/);
});

test('rm and gc: what a release installs stays, the rest goes with its tags', async (t) => {
  const { state, snapshot, json, fails, ids } = await twoSnapshots(t);
  const releases = new ReleaseRepository(state, await readPublicKey(state));
  const key = await readPrivateKey(state);
  await releases.put(sampleRelease(key, { sequence: 4, snapshot: { id: ids[0], tree: 'web' } }));
  assert.match((await fails('rm', ids[0])).stderr, /is what release 4 installs; it stays/);
  assert.match(await snapshot('show', ids[0]), /^releases {2}4$/m);
  assert.match((await fails('rm', 'web')).stderr, /no snapshot web; give an id or a tag/);
  assert.match(
    await snapshot('rm', 'testing'),
    /^removed snapshot \w{12}; `bladeroot snapshot gc` frees the room$/m,
  );
  assert.deepEqual(await json('tag'), []);
  const garbage = z.object({
    dryRun: z.boolean(),
    bytes: z.number().positive(),
    files: z.array(z.object({ path: z.string() })),
  });
  const dry = garbage.parse(await json('gc', '--dry-run'));
  const freed = garbage.parse(await json('gc'));
  assert.deepEqual(dry, { ...freed, dryRun: true });
  assert.equal(freed.files.filter(({ path }) => path.startsWith('packs/')).length, 2);
  assert.equal(freed.files.filter(({ path }) => path.includes(ids[1])).length, 2);
  const { stderr } = await fails('verify');
  assert.match(stderr, /problems are left; `bladeroot snapshot verify --repair-from URL` mends/);
  assert.match(await snapshot('verify', ids[0]), /^1 snapshots, 2 packs, 0 blobs: all sound$/m);
});

test('an altered statement is a row of the list; verify says what is damaged, and mends it from a directory', async (t) => {
  const { state, snapshot, json, fails, ids, bladeroot } = await twoSnapshots(t);
  await run('cp', ['-a', join(state, 'store'), join(state, 'backup')]);
  await writeFile(join(state, `store/snapshots/${ids[0]}.json`), '{}');
  const listed = await bladeroot(['snapshot', 'list']);
  assert.equal(listed.status, 0);
  assert.match(listed.stdout, new RegExp(`^${ids[0].slice(0, 12)}  damaged$`, 'm'));
  assert.match(listed.stdout, new RegExp(`^${ids[1].slice(0, 12)}  web `, 'm'));
  assert.match(listed.stderr, /^snapshot \w{12} is not signed/);
  assert.match((await fails('show', ids[0])).stderr, /is not signed/);
  assert.match((await fails('gc')).stderr, /nothing was removed: what snapshot \w{12} needs is not known/);

  const [, pack] = /^ {4}pack {2}(\w{64}) /m.exec(await snapshot('show', ids[1])) ?? [];
  const file = await open(join(state, `store/packs/${pack}.pack`), 'r+');
  await file.write(Buffer.from('damage'), 0, 6, 10);
  await file.close();
  const found = await fails('verify');
  assert.match(found.stdout, new RegExp(`^packs/${pack}.pack: piece 0 is damaged$`, 'm'));
  assert.match(found.stderr, /2 problems are left/);
  const mended = z
    .object({ problems: z.array(z.object({ path: z.string(), mended: z.boolean() })) })
    .parse(await json('verify', '--repair-from', '/nosuch', '--repair-from', join(state, 'backup')));
  assert.deepEqual(
    mended.problems.map((problem) => problem.mended),
    [true, true],
  );
  assert.match(await snapshot('verify'), /all sound/);
});

test('export to a file or through a pipe, import from it', async (t) => {
  const { state, snapshot, json, fails, ids } = await twoSnapshots(t);
  const file = join(state, 'out.tar');
  assert.match(await snapshot('export', 'testing', file), /exported to \/.*out\.tar$/m);
  const other = await place(t);
  await run('mkdir', ['-p', other.state]);
  await run('cp', ['-a', join(state, 'keys'), other.state]);
  const taken = await other.bladeroot(['snapshot', 'import', file, '--json']);
  assert.deepEqual([taken.status, JSON.parse(taken.stdout)], [0, { id: ids[1], isNew: true }]);
  const program = new URL('../bin/bladeroot', import.meta.url).pathname;
  const again = await run('sh', [
    '-c',
    '"$0" snapshot export testing - --state "$1" | "$0" snapshot import - --state "$2" --json',
    program,
    state,
    other.state,
  ]);
  assert.deepEqual(JSON.parse(again.stdout), { id: ids[1], isNew: false });
  assert.match((await fails('import', '/nosuch.tar')).stderr, /no file \/nosuch\.tar/);
  assert.match(
    (await fails('export', 'testing', '/dev/null')).stderr,
    /\/dev\/null is there, and is no file/,
  );
  assert.ok(existsSync('/dev/null'));
  assert.deepEqual(
    z
      .array(packed)
      .parse(await json('list'))
      .map(({ id }) => id),
    ids,
  );
});

test('unpack from other stores: by tag, with just the public key, when the first of them is not there', async (t) => {
  const { state, tree, ids } = await twoSnapshots(t);
  const url = await serveHttp(t, (request, response) =>
    sendFile(request, response, join(state, (request.url ?? '').slice(1))),
  );
  const blank = await place(t);
  const out = join(blank.fleet, 'out');
  const from = ['--from', 'http://127.0.0.1:9/store', '--from', `${url}/store`];
  const key = ['--key', join(state, 'keys/release.pub')];
  const unpacked = await blank.bladeroot(['snapshot', 'unpack', 'testing', out, ...from, ...key]);
  assert.equal(unpacked.status, 0, unpacked.stderr);
  assert.match(unpacked.stdout, new RegExp(`is snapshot ${ids[1].slice(0, 12)}`));
  await run('diff', ['--recursive', tree, out]);
  assert.equal(existsSync(blank.state), false, 'no state directory was made');
  const none = await blank.bladeroot(['snapshot', 'unpack', 'web', out, '--from', `${url}/store`, ...key]);
  assert.match(
    none.stderr,
    /has no snapshot web; from another store a snapshot is named by a whole id or a tag/,
  );
  const keyless = await blank.bladeroot(['snapshot', 'unpack', 'testing', out, ...from]);
  assert.match(keyless.stderr, /no fleet key at/);
});

test('what only reads makes nothing, and says that there is no store', async (t) => {
  const { state, bladeroot } = await place(t);
  await createKeys(state);
  for (const args of [
    ['list'],
    ['show', 'x'],
    ['diff', 'x', 'y'],
    ['verify'],
    ['export', 'x', '-'],
    ['unpack', 'x', 'y'],
    ['gc', '--dry-run'],
    ['tag'],
  ]) {
    const ended = await bladeroot(['snapshot', ...args]);
    assert.equal(ended.status, 1, args.join(' '));
    assert.match(ended.stderr, /^bladeroot: there is no store in \/.*\/store; `bladeroot init` makes one/);
  }
  assert.deepEqual(await readdir(state), ['keys']);
});

test('gc waits for a pack that is in progress, says so, and can be stopped', async (t) => {
  const { state, saying, snapshot } = await twoSnapshots(t);
  const store = await Store.openExisting(join(state, 'store'));
  const unlock = await store.lock('shared');
  const blob = await store.putBlob(Buffer.from('of a release to come'));
  const waits = /^waiting for the commands that are at work in \/.*store\n/;
  const waiting = await saying(['snapshot', 'gc'], waits);
  const dry = await snapshot('gc', '--dry-run');
  assert.match(dry, /would free 20 B in 1 files/);
  assert.ok(await store.hasBlob(blob));
  await unlock();
  const { status, stderr, stdout } = await waiting.end;
  assert.equal(status, 0, stderr);
  assert.match(stdout, /freed 20 B in 1 files/);
  assert.equal(await store.hasBlob(blob), false);
  assert.match(stderr, waits);
});
