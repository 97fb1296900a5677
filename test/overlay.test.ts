/** Looking at what a blade will be, on the command line. */
import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { z } from 'zod';
import { folderOf } from '../src/fleet/folder.fixture.ts';
import { FLEET, IMAGE } from '../src/overlay/render.fixture.ts';
import { createKeys } from '../src/release/keys.ts';
import { place, type Ended } from './bladeroot.fixture.ts';

const CIPHERTEXT = '-----BEGIN AGE ENCRYPTED FILE-----\nciphertext\n';

interface Scene {
  /** Runs `bladeroot overlay`, which has to succeed; what it prints. */
  overlay(...args: string[]): Promise<string>;
  fails(...args: string[]): Promise<Ended>;
}

async function scene(t: TestContext): Promise<Scene> {
  const where = await place(t, {
    'fleet.yaml': FLEET,
    'overlays/base/etc/motd.liquid': 'this is {{ blade.name }}\nof {{ release.snapshot.tree | size }}\n',
    'overlays/base/etc/issue.delete': '',
    'overlays/base/etc/same': 'as in the image\n',
    'overlays/base/bin/tool': '#!/bin/sh\n',
    'overlays/web/etc/profile.append': 'export WEB=1\n',
    'overlays/web/etc/binary': '\0\u0001',
    'overlays/web/secrets/etc/key.age': CIPHERTEXT,
    'overlays/web/secrets/etc/token.age': CIPHERTEXT,
  });
  await createKeys(where.state);
  const tree = await folderOf(t, {
    ...IMAGE,
    'etc/motd': 'welcome\nof 3\n',
    'etc/issue': 'Debian\n',
    'etc/same': 'as in the image\n',
    'etc/token': 'of the image\n',
    'etc/profile': 'umask 022\n',
    'etc/group': 'root:x:0:\n',
  });
  await chmod(join(tree, 'etc/profile'), 0o640);
  const packed = await where.bladeroot(['snapshot', 'pack', `${tree}/`, '--tag', 'tst']);
  assert.equal(packed.status, 0, packed.stderr);
  await writeFile(join(where.fleet, 'overlays/base/overlay.yaml'), 'etc/motd: { mode: 0600 }\n');
  return {
    overlay: async (...args) => {
      const { status, stdout, stderr } = await where.bladeroot(['overlay', ...args]);
      assert.equal(status, 0, stderr);
      return stdout;
    },
    fails: async (...args) => {
      const ended = await where.bladeroot(['overlay', ...args]);
      assert.equal(ended.status, 1, ended.stdout);
      return ended;
    },
  };
}

test('show prints a file as the blade will have it, from whichever layer, and says where it comes from', async (t) => {
  const { overlay, fails } = await scene(t);
  assert.match(await overlay('show', 'web01', '/etc/motd', '--snapshot', 'tst'), /^this is web01\nof \d+\n$/);
  assert.equal(await overlay('show', 'mail01', 'etc/profile'), 'umask 022\n');
  assert.equal(await overlay('show', 'web01', 'etc/profile'), 'umask 022\nexport WEB=1\n');
  assert.equal(await overlay('show', 'web01', 'bin/tool'), '#!/bin/sh\n', 'through /bin, which is a link');
  const shown: unknown = JSON.parse(await overlay('show', 'web01', '/etc/profile', '--json'));
  assert.deepEqual(shown, {
    path: 'etc/profile',
    type: 'file',
    mode: '640',
    uid: process.geteuid?.(),
    gid: process.getegid?.(),
    origin: 'the image, overlays/web/etc/profile.append',
    size: 23,
    content: 'umask 022\nexport WEB=1\n',
  });
  assert.match(await overlay('show', 'web01', 'etc/binary', '--json'), /"content64":"AAE="/);
  assert.match(
    (await fails('show', 'web01', 'etc/issue')).stderr,
    /^bladeroot: web01 has no \/etc\/issue; \/etc\/issue is deleted by overlays\/base\/etc\/issue\.delete$/m,
  );
  assert.match((await fails('show', 'web01', 'etc/no')).stderr, /^bladeroot: web01 has no \/etc\/no; `/m);
});

test('diff shows what the configuration changes against the image, and nothing that stays as it is', async (t) => {
  const { overlay } = await scene(t);
  const text = await overlay('diff', 'web01');
  assert.match(
    text,
    /^changed {2}\/etc\/motd \(file, mode 644 → 600; overlays\/base\/etc\/motd\.liquid\)\n--- image\/etc\/motd\n\+\+\+ blade\/etc\/motd\n@@ -1,2 \+1,2 @@\n-welcome\n/m,
  );
  assert.match(text, /^deleted {2}\/etc\/issue \(file; overlays\/base\/etc\/issue\.delete\)$/m);
  assert.match(text, /^\+export WEB=1$/m);
  assert.match(text, /^added {4}\/usr\/bin\/tool \(file, 755 0:0; overlays\/base\/bin\/tool\)$/m);
  assert.match(text, /^added {4}\/etc\/binary .*\n {2}binary, 2 B$/m);
  assert.doesNotMatch(text, /etc\/same/);
  const changes = z
    .array(
      z.object({ path: z.string(), change: z.string(), origin: z.string(), patch: z.string().optional() }),
    )
    .parse(JSON.parse(await overlay('diff', 'web01', '--json')));
  assert.deepEqual(
    changes.find(({ path }) => path === 'etc/resolv.conf')?.change,
    'changed',
    'a link becomes a file',
  );
  const counts = ['added', 'changed', 'deleted'].map(
    (kind) => `${changes.filter(({ change }) => change === kind).length} ${kind}`,
  );
  assert.equal(text.trimEnd().split('\n').at(-1), counts.join(', '));
});

test('list names everything that is laid over the image, with its origin', async (t) => {
  const { overlay, fails } = await scene(t);
  const lines = (await overlay('list', 'web01'))
    .split('\n')
    .map((line) => line.replaceAll(/ +/g, ' ').trim());
  for (const line of [
    'file 644 0:0 /etc/hostname built in: host name',
    'file 600 0:0 /etc/motd overlays/base/etc/motd.liquid',
    'deleted /etc/issue overlays/base/etc/issue.delete',
    'symlink 0:0 /etc/systemd/system/multi-user.target.wants/systemd-networkd.service → /usr/lib/systemd/system/systemd-networkd.service built in: service: systemd-networkd',
  ]) {
    assert.ok(lines.includes(line), `${line}\n${lines.join('\n')}`);
  }
  const json: unknown = JSON.parse(await overlay('list', 'web01', '--json'));
  assert.ok(Array.isArray(json) && json.length === lines.filter((line) => line !== '').length - 1);
  assert.match((await fails('list', 'web1')).stderr, /did you mean web01\?/);
});

test('secrets are shown by their names, with who says so, and nothing of what is in them', async (t) => {
  const { overlay, fails } = await scene(t);
  const list = (await overlay('list', 'web01')).replaceAll(/ +/g, ' ');
  assert.match(list, /^secret 600 0:0 \/etc\/key overlays\/web\/secrets\/etc\/key\.age *$/m);
  const diff = await overlay('diff', 'web01');
  assert.match(
    diff,
    /^added {4}\/etc\/key \(secret, 600 0:0; overlays\/web\/secrets\/etc\/key\.age\)\n(?!---)/m,
  );
  assert.match(
    diff,
    /^changed {2}\/etc\/token \(secret, mode 644 → 600; overlays\/web\/secrets\/etc\/token\.age\)\n(?!---)/m,
  );
  const json = await overlay('diff', 'web01', '--json');
  for (const text of [list, diff, json]) assert.doesNotMatch(text, /ciphertext|AGE ENCRYPTED/);
  const { stderr } = await fails('show', 'web01', '/etc/key');
  assert.match(stderr, /etc\/key is a secret .*`bladeroot secret show web \/etc\/key --identity FILE`/);
});
