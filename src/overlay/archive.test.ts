import assert from 'node:assert/strict';
import { lstat, mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { folderOf } from '../fleet/folder.fixture.ts';
import { run } from '../system/run.ts';
import { applyOverlay } from './apply.ts';
import { encodeOverlay } from './archive.ts';
import { dirEntry, editEntry, fileEntry, type OverlayEntry } from './entry.ts';
import { IMAGE, render } from './render.fixture.ts';

const needsRoot = process.geteuid?.() === 0 ? false : 'owners need root rights';

const file = (path: string, text: string, mode?: number): OverlayEntry => fileEntry(path, text, 'test', mode);
const link = (path: string, target: string): OverlayEntry =>
  editEntry({ type: 'symlink', path, target }, 'test');
const whiteout = (path: string): OverlayEntry => editEntry({ type: 'whiteout', path }, 'test');

test('the same blade gets the same bytes, whenever and from wherever it is rendered', async (t) => {
  const overlays = { 'base/etc/motd.liquid': '{{ blade.name }}\n', 'web/etc/cron.daily/job': '#!/bin/sh\n' };
  const archive = async (): Promise<Buffer> => encodeOverlay([...(await render(t, { overlays })).values()]);
  const first = await archive();
  assert.ok(first.length > 0);
  assert.deepEqual(await archive(), first);
});

test('GNU tar reads it: types, modes, owners, links, long and non-ASCII names, and whiteouts', async () => {
  const long = `etc/${'long/'.repeat(30)}name`;
  const archive = encodeOverlay([
    dirEntry('etc/private', 'test', 0o750),
    { ...file('etc/private/key', '12345', 0o4640), uid: 1000, gid: 3_000_000 },
    link('etc/localtime', '/usr/share/zoneinfo/UTC'),
    file(long, ''),
    file('etc/grüß', 'x'),
    whiteout('etc/old'),
  ]);
  const { stdout } = await run(
    'tar',
    ['--list', '-v', '--numeric-owner', '--quoting-style=literal', '-f', '-'],
    {
      input: archive,
      env: { TZ: 'UTC', LC_ALL: 'C.UTF-8' },
    },
  );
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.replaceAll(/ +/g, ' '));
  assert.deepEqual(lines, [
    'drwxr-x--- 0/0 0 1970-01-01 00:00 etc/private',
    '-rwSr----- 1000/3000000 5 1970-01-01 00:00 etc/private/key',
    'lrwxrwxrwx 0/0 0 1970-01-01 00:00 etc/localtime -> /usr/share/zoneinfo/UTC',
    `-rw-r--r-- 0/0 0 1970-01-01 00:00 ${long}`,
    '-rw-r--r-- 0/0 1 1970-01-01 00:00 etc/grüß',
    '---------- 0/0 0 1970-01-01 00:00 etc/.wh.old',
  ]);
});

test('whiteouts delete files, links and whole directories, and leave nothing of their own', async (t) => {
  const directory = await folderOf(t, {
    'etc/file': 'old',
    'etc/link': '->file',
    'etc/dir/deep/inside': 'old',
    'etc/stays': 'as it is',
    top: 'old',
  });
  await applyOverlay(encodeOverlay(['etc/dir', 'etc/link', 'etc/nothing', 'top'].map(whiteout)), directory);
  assert.deepEqual(await readdir(directory), ['etc']);
  assert.deepEqual((await readdir(join(directory, 'etc'))).sort(), ['file', 'stays']);
});

test('what a deleted link pointed to stays', async (t) => {
  const directory = await folderOf(t, { 'usr/keep/file': 'kept', 'etc/link': '->../usr/keep' });
  await applyOverlay(encodeOverlay([whiteout('etc/link')]), directory);
  assert.equal(await readFile(join(directory, 'usr/keep/file'), 'utf8'), 'kept');
});

test('a file takes the place of a link and is not written through it, and the reverse', async (t) => {
  const directory = await folderOf(t, {
    'run/stub': 'of the image',
    'etc/resolv.conf': '->../run/stub',
    'etc/absolute': '->/etc/hostname',
    'etc/localtime': 'a file',
  });
  const entries = [
    file('etc/absolute', 'ours'),
    link('etc/localtime', '../UTC'),
    file('etc/resolv.conf', 'ours'),
  ];
  await applyOverlay(encodeOverlay(entries), directory);
  assert.equal((await lstat(join(directory, 'etc/resolv.conf'))).isFile(), true);
  assert.equal((await lstat(join(directory, 'etc/absolute'))).isFile(), true);
  assert.equal(await readFile(join(directory, 'run/stub'), 'utf8'), 'of the image');
  assert.equal(await readlink(join(directory, 'etc/localtime')), '../UTC');
});

test('files that stand there already are replaced, and hard links to them keep the old content', async (t) => {
  const directory = await folderOf(t, { 'etc/motd': 'old' });
  await run('ln', [join(directory, 'etc/motd'), join(directory, 'etc/other')]);
  await applyOverlay(encodeOverlay([file('etc/motd', 'new')]), directory);
  assert.equal(await readFile(join(directory, 'etc/motd'), 'utf8'), 'new');
  assert.equal(await readFile(join(directory, 'etc/other'), 'utf8'), 'old');
});

test('merged /usr stays merged, also where an overlay says bin/ and sbin/', async (t) => {
  const overlays = { 'base/bin/tool': '#!/bin/sh\n', 'base/sbin/new/tool': '#!/bin/sh\n' };
  const entries = await render(t, { overlays });
  const directory = await folderOf(t, IMAGE);
  await applyOverlay(encodeOverlay([...entries.values()]), directory);
  assert.equal(await readlink(join(directory, 'bin')), 'usr/bin');
  assert.equal(await readlink(join(directory, 'sbin')), '/usr/sbin');
  for (const path of ['usr/bin/tool', 'usr/sbin/new/tool']) {
    assert.equal((await lstat(join(directory, path))).mode & 0o777, 0o755, path);
  }
});

test('a directory that is laid over a link to a directory leaves the link', async (t) => {
  const directory = await folderOf(t, { 'usr/bin/sh': '', bin: '->usr/bin' });
  await applyOverlay(encodeOverlay([dirEntry('bin', 'test'), file('bin/tool', 'x')]), directory);
  assert.equal(await readlink(join(directory, 'bin')), 'usr/bin');
  assert.equal(await readFile(join(directory, 'usr/bin/tool'), 'utf8'), 'x');
});

test('modes and owners are as the entries say, whatever the umask', { skip: needsRoot }, async (t) => {
  const directory = await folderOf(t, { 'etc/sudoers': 'old' });
  const before = process.umask(0o077);
  try {
    await applyOverlay(
      encodeOverlay([
        { ...dirEntry('srv/www', 'test', 0o2775), uid: 33, gid: 33 },
        { ...file('etc/sudoers', 'new', 0o440), gid: 27 },
        file('usr/bin/ping', 'x', 0o4755),
      ]),
      directory,
    );
  } finally {
    process.umask(before);
  }
  const seen = async (path: string): Promise<number[]> => {
    const { mode, uid, gid } = await lstat(join(directory, path));
    return [mode & 0o7777, uid, gid];
  };
  assert.deepEqual(await seen('srv/www'), [0o2775, 33, 33]);
  assert.deepEqual(await seen('etc/sudoers'), [0o440, 0, 27]);
  assert.deepEqual(await seen('usr/bin/ping'), [0o4755, 0, 0]);
});

test('applied twice it is as applied once: a step that was broken off is done again', async (t) => {
  const directory = await folderOf(t, { 'etc/old': 'x', 'etc/resolv.conf': '->../run/stub' });
  const archive = encodeOverlay([
    dirEntry('etc/new', 'test'),
    file('etc/resolv.conf', 'a'),
    whiteout('etc/old'),
  ]);
  await applyOverlay(archive, directory);
  await writeFile(join(directory, 'etc/new/file'), 'made meanwhile');
  await applyOverlay(archive, directory);
  assert.deepEqual((await readdir(join(directory, 'etc'))).sort(), ['new', 'resolv.conf']);
  assert.deepEqual(await readdir(join(directory, 'etc/new')), ['file']);
});

test('a place that cannot be written is an error with what tar says', async (t) => {
  const directory = await folderOf(t, {});
  await mkdir(join(directory, 'etc/motd/inside'), { recursive: true });
  await assert.rejects(applyOverlay(encodeOverlay([file('etc/motd', 'x')]), directory), {
    code: 'PROGRAM_FAILED',
    message: /etc\/motd/,
  });
});
