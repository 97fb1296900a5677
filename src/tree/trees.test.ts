import assert from 'node:assert/strict';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { run } from '../system/run.ts';
import { lockTree } from './lock.ts';
import { Trees } from './trees.ts';

interface Scene {
  base: string;
  /** A small root filesystem. */
  source: string;
  trees: Trees;
}

async function setScene(t: TestContext): Promise<Scene> {
  const base = await mkdtemp(join(tmpdir(), 'bladeroot-trees-'));
  t.after(async () => await rm(base, { recursive: true, force: true }));
  const source = join(base, 'golden');
  await mkdir(join(source, 'usr/lib'), { recursive: true });
  await mkdir(join(source, 'etc'));
  await writeFile(join(source, 'usr/lib/os-release'), 'NAME=T\nPRETTY_NAME="Test Linux 1"\n');
  // Absolute, as a chroot sees it: on this machine it would lead to another system.
  await symlink('/usr/lib/os-release', join(source, 'etc/os-release'));
  await writeFile(join(source, 'usr/tool'), '#!/bin/sh\n', { mode: 0o755 });
  await run('chown', ['12:34', join(source, 'usr/tool')]);
  await run('chmod', ['4755', join(source, 'usr/tool')]);
  await run('setfattr', ['-n', 'trusted.test', '-v', 'value', join(source, 'usr/tool')]);
  return { base, source, trees: new Trees(join(base, 'state')) };
}

async function requireExact(path: string): Promise<void> {
  const { mode, uid, gid } = await lstat(join(path, 'usr/tool'));
  assert.deepEqual([mode & 0o7777, uid, gid], [0o4755, 12, 34]);
  const { stdout } = await run('getfattr', ['--only-values', '-n', 'trusted.test', join(path, 'usr/tool')]);
  assert.equal(stdout, 'value');
}

/** The names in the folder of trees. */
async function left({ trees }: Scene): Promise<string[]> {
  return await readdir(trees.directory);
}

test('a tree is made from a directory, exactly, and the directory stays what it is', async (t) => {
  const { source, trees } = await setScene(t);
  const tree = await trees.create({ name: 'web', from: source });
  assert.deepEqual(tree, { name: 'web', path: join(trees.directory, 'web'), system: 'Test Linux 1' });
  await requireExact(tree.path);
  await writeFile(join(tree.path, 'usr/tool'), 'changed');
  assert.equal(await readFile(join(source, 'usr/tool'), 'utf8'), '#!/bin/sh\n');
  assert.deepEqual(await trees.list(), [tree]);
  assert.deepEqual(await trees.get('web'), tree);
});

test('a link to a directory gives a tree of its own, and not one more link', async (t) => {
  const { base, source, trees } = await setScene(t);
  await symlink(source, join(base, 'link'));
  const tree = await trees.create({ name: 'web', from: join(base, 'link') });
  assert.ok((await lstat(tree.path)).isDirectory());
  await requireExact(tree.path);
});

test('a tree is made from a tar archive, compressed or not, whatever its name', async (t) => {
  const { base, source, trees } = await setScene(t);
  const archives = [
    ['stage3.tar', '-cf'],
    ['stage3.tar.xz', '-cJf'],
    // To GNU tar what stands before a colon is another machine.
    ['stage3:2026.tar', '--force-local -cf'],
  ];
  for (const [i, [file = '', options = '']] of archives.entries()) {
    const from = join(base, file);
    await run('tar', ['--xattrs', '--xattrs-include=*', '-C', source, ...options.split(' '), from, '.']);
    const tree = await trees.create({ name: `t${i}`, from });
    assert.equal(tree.system, 'Test Linux 1');
    await requireExact(tree.path);
  }
  assert.deepEqual(
    (await trees.list()).map(({ name }) => name),
    ['t0', 't1', 't2'],
  );
});

test('a name that is none, that is taken, or that nobody has is said to be so', async (t) => {
  const { source, trees } = await setScene(t);
  assert.deepEqual(await trees.list(), []);
  for (const name of ['', '..', '.hidden', 'Web', 'a/b', '-f', 'x'.repeat(64)]) {
    await assert.rejects(trees.create({ name, from: source }), { code: 'TREE_NAME' });
    await assert.rejects(trees.get(name), { code: 'NO_TREE' });
  }
  await assert.rejects(trees.get('web'), { code: 'NO_TREE', hint: /tree create/ });
  await trees.create({ name: 'web', from: source });
  await assert.rejects(trees.create({ name: 'web', from: source }), { code: 'TREE_EXISTS' });
  await assert.rejects(trees.get('mail'), { code: 'NO_TREE', hint: 'there are: web' });
});

test('a source that is none, or an archive that is cut off, leaves nothing', async (t) => {
  const scene = await setScene(t);
  const { base, source, trees } = scene;
  await assert.rejects(trees.create({ name: 'web', from: join(base, 'none') }), { code: 'TREE_SOURCE' });
  const archive = join(base, 'cut.tar');
  await run('tar', ['-C', source, '-cf', archive, '.']);
  await truncate(archive, 3000);
  await assert.rejects(trees.create({ name: 'web', from: archive }), { code: 'PROGRAM_FAILED' });
  assert.deepEqual(await left(scene), []);
  await trees.create({ name: 'web', from: source });
});

test('what is broken off leaves nothing, and what a killed run left is no obstacle', async (t) => {
  const scene = await setScene(t);
  const { base, source, trees } = scene;
  const stop = new AbortController();
  const from = join(base, 'golden.tar');
  await run('tar', ['-C', source, '-cf', from, '.']);
  const making = trees.create({
    name: 'web',
    from,
    signal: stop.signal,
    onProgress: () => stop.abort(new Error('enough')),
  });
  await assert.rejects(making, { message: 'enough' });
  assert.deepEqual(await left(scene), []);

  await mkdir(join(trees.directory, '.web.new/half'), { recursive: true });
  const tree = await trees.create({ name: 'web', from: source });
  assert.deepEqual(await left(scene), ['web']);
  assert.deepEqual((await readdir(tree.path)).sort(), ['etc', 'usr']);
});

test('two that make the same tree at once do not mix', async (t) => {
  const { source, trees } = await setScene(t);
  await mkdir(trees.directory, { recursive: true });
  const unlock = await lockTree(join(trees.directory, '.web.lock'));
  await assert.rejects(trees.create({ name: 'web', from: source }), { code: 'TREE_BUSY' });
  await unlock();
});
