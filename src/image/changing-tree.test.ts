/** Trees that change while they are packed: the pack says what did and fails, or packs it all the same when told to. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Store } from '../store/store.ts';
import { run } from '../system/run.ts';
import { parseManifest } from './manifest.ts';
import { describeTree } from './testing/describe-tree.ts';
import { dense, makeTree, plain } from './testing/make-tree.ts';
import { scratch } from './testing/scratch.ts';
import { pack, unpack, type Packed } from './testing/snapshot-of.ts';

const MIB = 1024 * 1024;
const DIR = { type: 'dir' } as const;
const FILE = dense(5000);

/** A function that changes the tree, given how to get at what is in it. */
type Change = (at: (path: string) => string) => void;

interface Options {
  live: boolean;
  /** While the tree is looked at: what lies in its root has been seen then; or once a file has been read. */
  during: 'walk' | 'reading';
}

interface Place {
  tree: string;
  out: string;
  store: Store;
  packWhile(change: Change, options: Options): Promise<{ packed: Packed; notes: string[] }>;
}

async function place(t: TestContext): Promise<Place> {
  const base = await scratch(t);
  const tree = join(base, 'tree');
  await makeTree(tree, [
    plain('', DIR),
    // Of several parts, that are not read all at once.
    plain('0', dense(9 * MIB)),
    ...['dir', 'dir/below'].map((path) => plain(path, DIR)),
    ...['dir/below/file', 'dir/file', 'a', 'b', 'c', 'd', 'e', 'f', 'g'].map((path) => plain(path, FILE)),
    plain('large', dense(9 * MIB)),
    plain('sparse', { type: 'file', size: 20 * MIB, data: [[MIB, MIB, 1]] }),
    ...['link', 'link-too', 'link-gone'].map((path) => plain(path, { type: 'symlink', target: 'a' })),
    { type: 'hardlink', path: 'g-too', target: 'g' },
    plain('walked', DIR),
    // Its note tells that the walk is on its way.
    plain('walked/socket', { type: 'socket' }),
  ]);
  const store = await Store.open(join(base, 'store'));
  return {
    tree,
    out: join(base, 'out'),
    store,
    async packWhile(change, { live, during }) {
      const notes: string[] = [];
      let hasChanged = false;
      const changeOnce = (when: Options['during']): void => {
        if (hasChanged || when !== during) return;
        hasChanged = true;
        change((path) => join(tree, path));
      };
      const onNote = (note: string): void => {
        if (note.includes('socket')) changeOnce('walk');
        else notes.push(note);
      };
      const packed = await pack(tree, store, { live, onNote, onProgress: () => changeOnce('reading') });
      assert.ok(hasChanged);
      return { packed, notes };
    },
  };
}

/** Writes as many bytes into a file, and sets its time back to what it was. */
function rewrite(path: string): void {
  const { atime, mtime, size } = fs.statSync(path);
  fs.writeFileSync(path, 'x'.repeat(size));
  fs.utimesSync(path, atime, mtime);
}

const removeDir: Change = (at) => fs.rmSync(at('dir'), { recursive: true });

const CHANGES: [what: string, change: Change, named: RegExp][] = [
  ['a file that has been read is appended to', (at) => fs.appendFileSync(at('0'), 'x'), /: "0" changed$/],
  ['a file is written, and its time set back', (at) => rewrite(at('large')), /: "large" changed$/],
  ['a file comes', (at) => fs.writeFileSync(at('dir/new'), 'x'), /: "dir" changed$/],
  ['a mode', (at) => fs.chmodSync(at('dir/below'), 0o600), /: "dir\/below" changed$/],
  [
    'a directory goes',
    removeDir,
    /"dir" vanished.*"dir\/below\/file" vanished|"dir\/below\/file" vanished.*"dir" vanished/,
  ],
];

test('whatever changes while files are read is named, there is no snapshot, and nothing is left', async (t) => {
  for (const [what, change, named] of CHANGES) {
    await t.test(what, async (t2) => {
      const { store, packWhile } = await place(t2);
      await assert.rejects(packWhile(change, { live: false, during: 'reading' }), {
        code: 'TREE_CHANGED',
        message: named,
        hint: /--live packs it as it is found/,
      });
      for (const folder of ['tmp', 'packs', 'manifests']) {
        assert.deepEqual(fs.readdirSync(join(store.directory, folder)), [], folder);
      }
    });
  }
});

/** One of each, of what lies in the root of the tree. */
const changeEverything: Change = (at) => {
  rewrite(at('a'));
  fs.truncateSync(at('b'), 100);
  fs.truncateSync(at('sparse'), 3 * MIB);
  fs.appendFileSync(at('c'), 'x');
  fs.rmSync(at('d'));
  fs.rmSync(at('e'));
  fs.symlinkSync('/etc/shadow', at('e'));
  fs.rmSync(at('f'));
  fs.mkdirSync(at('f'));
  fs.rmSync(at('g'));
  fs.rmSync(at('link'));
  fs.writeFileSync(at('link'), 'x');
  fs.rmSync(at('link-gone'));
  fs.rmSync(at('dir'), { recursive: true });
};

test('with live all that changes is packed or left out, with a warning each, and the snapshot is whole', async (t) => {
  const { out, store, packWhile } = await place(t);
  const { packed, notes } = await packWhile(changeEverything, { live: true, during: 'walk' });

  const [asFound, leftOut] = ['changed; it is packed as it was found', 'vanished; it is left out'];
  const expected = {
    a: asFound,
    b: asFound,
    sparse: asFound,
    c: asFound,
    d: leftOut,
    e: leftOut,
    f: leftOut,
  };
  // Its inode is still there, and has another name less.
  const more = {
    'g-too': 'changed; it is left out',
    g: leftOut,
    link: leftOut,
    'link-gone': leftOut,
    dir: leftOut,
  };
  for (const [path, what] of Object.entries({ ...expected, ...more })) {
    assert.ok(notes.includes(`"${path}" ${what}`), `${path} ${what}: ${notes.join('\n')}`);
  }
  const entries = parseManifest(await store.readManifest(packed.id));
  const paths = ['', '0', 'a', 'b', 'c', 'large', 'link-too', 'sparse', 'walked'];
  assert.deepEqual(
    entries.map(({ path }) => path),
    paths,
  );
  await unpack(store, packed.statement, out);
  assert.equal((await describeTree(out)).length, paths.length);
  // What was seen when it was looked at: the length of then, zeros for what had gone.
  assert.equal((await run('tail', ['-c', '+101', join(out, 'b')])).stdout, '\0'.repeat(4900));
});

test('what vanishes while the tree is looked at is named at once', async (t) => {
  const { packWhile } = await place(t);
  await assert.rejects(packWhile(removeDir, { live: false, during: 'walk' }), {
    code: 'TREE_CHANGED',
    message: '"dir" vanished while the tree was being packed',
  });
});
