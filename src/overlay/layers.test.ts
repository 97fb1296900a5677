/** Suffixes, overlay.yaml, and what several layers make of one image together. */
import assert from 'node:assert/strict';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { folderOf } from '../fleet/folder.fixture.ts';
import { run } from '../system/run.ts';
import { applyOverlay } from './apply.ts';
import { encodeOverlay } from './archive.ts';
import { isSecret } from './entry.ts';
import { FLEET, IMAGE, render, renderAll, textOf } from './render.fixture.ts';

const needsRoot = process.geteuid?.() === 0 ? false : 'owners need root rights';

const PEOPLE = {
  'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\n',
  'etc/group': 'root:x:0:\nwww-data:x:33:\nssl-cert:x:110:\n',
};

test('NAME.append adds lines to what the image or a lower layer has, and keeps its mode', async (t) => {
  const image = {
    ...IMAGE,
    'etc/profile': '#!first',
    'usr/share/real': 'real\n',
    'etc/alias': '->/usr/share/real',
  };
  const entries = await render(t, {
    image,
    overlays: {
      'base/etc/profile.append': 'of base',
      'web/etc/profile.append.liquid': 'of {{ blade.name }}\n',
      'base/etc/hosts.append': '10.0.0.1 gate\n',
      'base/etc/new.append': 'alone\n',
      'base/etc/alias.append': 'more\n',
    },
  });
  assert.equal(textOf(entries.get('etc/profile')), '#!first\nof base\nof web01\n');
  assert.equal(entries.get('etc/profile')?.mode, 0o755);
  assert.equal(
    entries.get('etc/profile')?.origin,
    'the image, overlays/base/etc/profile.append, overlays/web/etc/profile.append.liquid',
  );
  assert.match(textOf(entries.get('etc/hosts')), /^127\.0\.0\.1\tlocalhost$[^]*^10\.0\.0\.1 gate\n$/m);
  assert.equal(textOf(entries.get('etc/new')), 'alone\n');
  assert.equal(textOf(entries.get('usr/share/real')), 'real\nmore\n', 'a link to a file is followed');
  assert.equal(entries.has('etc/alias'), false);
});

test('NAME.delete takes away files, links and directories of the image and of lower layers', async (t) => {
  const image = {
    ...IMAGE,
    'etc/motd': 'x',
    'opt/app/conf/a': 'x',
    'opt/app/b': 'x',
    'etc/link': '->/opt/app',
  };
  const setting = {
    image,
    overlays: {
      'base/etc/motd.delete': '',
      'base/opt/app/c': 'of base',
      'base/sbin/gone.delete': '',
      'base/etc/link.delete': 'why: nobody uses it',
      'web/opt/app.delete': '',
      'web/opt/app/conf/d': 'of web',
    },
  };
  const entries = await renderAll(t, setting);
  const shown = entries.filter(({ path }) => /^(opt|etc\/(motd|link))/.test(path));
  assert.deepEqual(
    shown.map(({ type, path }) => `${type} ${path}`),
    [
      'whiteout etc/link',
      'whiteout etc/motd',
      'whiteout opt/app',
      'dir opt/app',
      'dir opt/app/conf',
      'file opt/app/conf/d',
    ],
  );
  const directory = await folderOf(t, image);
  for (const _ of [1, 2]) {
    await applyOverlay(encodeOverlay(entries), directory);
    assert.deepEqual(await readdir(join(directory, 'opt/app'), { recursive: true }), ['conf', 'conf/d']);
    assert.deepEqual((await readdir(join(directory, 'etc'))).includes('motd'), false);
  }
});

test('a deleted directory does not come back with a file that a higher layer puts there', async (t) => {
  const image = {
    ...IMAGE,
    'etc/systemd/system/multi-user.target.wants/old.service': '->/usr/lib/systemd/system/nginx.service',
  };
  const entries = await renderAll(t, {
    blade: 'mail01',
    image,
    overlays: { 'base/etc/systemd/system.delete': '' },
  });
  const path = 'etc/systemd/system';
  assert.deepEqual(
    entries.filter((entry) => entry.path === path).map(({ type }) => type),
    ['whiteout', 'dir'],
    'networkd is enabled in an empty directory',
  );
  assert.ok(!entries.some(({ path, type }) => path.endsWith('nginx.service') && type === 'whiteout'));
});

test('a file can take the place of a directory that is deleted', async (t) => {
  const image = { ...IMAGE, 'etc/conf/a': 'x' };
  const entries = await renderAll(t, {
    image,
    overlays: { 'base/etc/conf.delete': '', 'web/etc/conf': 'flat' },
  });
  const directory = await folderOf(t, image);
  await applyOverlay(encodeOverlay(entries), directory);
  assert.equal(await readFile(join(directory, 'etc/conf'), 'utf8'), 'flat');
});

test('a folder that has a directory and its deletion has all of the directory', async (t) => {
  const image = { ...IMAGE, 'etc/sites/default': 'x' };
  const entries = await renderAll(t, {
    image,
    overlays: { 'base/etc/sites/own': 'y', 'base/etc/sites.delete': '' },
  });
  const directory = await folderOf(t, image);
  await applyOverlay(encodeOverlay(entries), directory);
  assert.deepEqual(await readdir(join(directory, 'etc/sites')), ['own']);
});

const CIPHERTEXT = '-----BEGIN AGE ENCRYPTED FILE-----\n';

test(
  'overlay.yaml gives owners by the names of the image, modes and attributes',
  { skip: needsRoot },
  async (t) => {
    const image = { ...IMAGE, ...PEOPLE, 'srv/www/': '', 'var/log/app/': '' };
    const overlays = {
      'base/overlay.yaml': `etc/app.key: { owner: www-data, group: ssl-cert, mode: 0640, xattrs: { user.note: a b, user.raw: 0x00ff } }
srv/www/: { owner: 33, mode: '2775' }
/var/lib/new/: { group: www-data }
etc/passwd: { mode: 0o600 }
bin/tool: { owner: late }
secrets/etc/ssl/key.pem: { owner: www-data, mode: 0440 }
`,
      'base/etc/app.key': 'k',
      'base/etc/passwd.append': 'late:x:4711:4711::/:/bin/false\n',
      'base/bin/tool': '#!x',
      'base/secrets/etc/ssl/key.pem.age': CIPHERTEXT,
    };
    const entries = await renderAll(t, { image, overlays });
    assert.ok(!entries.some(({ path }) => /secrets|overlay\.yaml/.test(path)));
    const [secret, ...others] = entries.filter(isSecret);
    assert.deepEqual(others, []);
    assert.equal(textOf(secret), CIPHERTEXT);
    const { path, mode, uid, gid } = secret ?? {};
    assert.deepEqual([path, mode, uid, gid], ['etc/ssl/key.pem', 0o440, 33, 0]);
    const directory = await folderOf(t, image);
    await applyOverlay(encodeOverlay(entries), directory);
    const seen = async (path: string): Promise<unknown[]> => {
      const { mode, uid, gid } = await lstat(join(directory, path));
      return [(mode & 0o7777).toString(8), uid, gid];
    };
    assert.deepEqual(await seen('etc/app.key'), ['640', 33, 110]);
    assert.deepEqual(await seen('srv/www'), ['2775', 33, 0]);
    assert.deepEqual(await seen('var/lib/new'), ['755', 0, 33]);
    assert.deepEqual(await seen('etc/passwd'), ['600', 0, 0]);
    assert.deepEqual(await seen('usr/bin/tool'), ['755', 4711, 0]);
    const { stdout } = await run('getfattr', ['--dump', '--absolute-names', join(directory, 'etc/app.key')]);
    assert.match(stdout, /^user\.note="a b"$/m);
    assert.match(stdout, /^user\.raw="\\000\\377"$|^user\.raw=0sAP8=$/m);
  },
);

test('what is wrong in overlay.yaml is an error with its file and line', async (t) => {
  const cases: [string, string | RegExp][] = [
    ['\netc/x: { owner: nobdy }', 'overlays/base/overlay.yaml:2: the image has no user nobdy'],
    [
      'etc/y: { mode: 0640 }',
      /^overlays\/base\/overlay\.yaml:1: this overlay has no etc\/y; did you mean etc\/x\?/,
    ],
    [
      'etc/x: { mode: 888 }',
      /^overlays\/base\/overlay\.yaml:1: etc\/x: mode: "888" is not a mode; write three/,
    ],
    [
      'etc/x:\n  onwer: root',
      /^overlays\/base\/overlay\.yaml:1: etc\/x: onwer is not known here; known are owner/,
    ],
    ['etc/x: { mode: 0600 }\netc/x: { mode: 0640 }', /overlay\.yaml:2: etc\/x stands here a second time/],
    ['etc/x: {', /^overlays\/base\/overlay\.yaml:1: not YAML/],
    ['etc/x: { group: 4294967295 }', /overlay\.yaml:1: 4294967295 is more than a group id can be/],
  ];
  for (const [text, message] of cases) {
    const overlays = { 'base/overlay.yaml': text, 'base/etc/x': '' };
    await assert.rejects(render(t, { image: { ...IMAGE, ...PEOPLE }, overlays }), { message });
  }
});

test('suffixes that cannot be meant are errors that name the file', async (t) => {
  const cases: [Record<string, string>, RegExp][] = [
    [{ 'base/etc/a.delete/b': '' }, /^overlays\/base\/etc\/a\.delete is a directory/],
    [{ 'base/etc/.append': '' }, /^overlays\/base\/etc\/\.append is a suffix without a name/],
    [
      { 'base/etc/a': '', 'base/etc/a.append': '' },
      /a and overlays\/base\/etc\/a\.append are for the same file/,
    ],
    [{ 'base/usr/bin.append': '' }, /^overlays\/base\/usr\/bin\.append: \/usr\/bin is no file that lines/],
    [{ 'base/etc/resolv.conf.append': '' }, /: \/etc\/resolv\.conf is a link to nowhere/],
  ];
  const fleet = FLEET.replace(', dns: [10.77.0.1]', '');
  for (const [overlays, message] of cases) await assert.rejects(render(t, { fleet, overlays }), { message });
});

test('lines cannot be added to a secret, and a nearer file takes its place', async (t) => {
  const secret = { 'base/secrets/etc/key.age': CIPHERTEXT };
  await assert.rejects(render(t, { overlays: { ...secret, 'web/etc/key.append': 'more' } }), {
    code: 'OVERLAY_CONFLICT',
    message: /^overlays\/web\/etc\/key\.append: \/etc\/key is a secret/,
  });
  const entry = (await render(t, { overlays: { ...secret, 'web/etc/key': 'no secret' } })).get('etc/key');
  assert.ok(entry !== undefined && !isSecret(entry));
  await assert.rejects(render(t, { overlays: { ...secret, 'base/etc/key': 'clear' } }), {
    code: 'OVERLAY_FILE',
  });
});
