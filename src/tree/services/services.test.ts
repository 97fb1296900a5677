import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cp, mkdir, readdir, readlink, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { folderOf } from '../../fleet/test-folder.ts';
import { DirectoryFiles } from '../../image/files.ts';
import { run } from '../../system/run.ts';
import { detectServiceManager } from './detect.ts';
import { OpenRc } from './openrc.ts';
import type { OverlayEdit } from './service-manager.ts';
import { Systemd } from './systemd.ts';

async function apply(root: string, edits: OverlayEdit[]): Promise<void> {
  for (const edit of edits) {
    const path = join(root, edit.path);
    await rm(path, { force: true });
    if (edit.type === 'whiteout') continue;
    await mkdir(dirname(path), { recursive: true });
    await symlink(edit.target, path);
  }
}

/** All links below etc/systemd/system, as `path -> target`, sorted. Debian's systemctl says /lib for /usr/lib. */
async function enabledLinks(root: string): Promise<string[]> {
  const entries = await readdir(join(root, 'etc/systemd/system'), { recursive: true, withFileTypes: true });
  const links = entries
    .filter((entry) => entry.isSymbolicLink())
    .map(({ parentPath, name }) => join(parentPath, name));
  const shown = links.map(
    async (path) =>
      `${path.slice(root.length)} -> ${(await readlink(path)).replace(/^\/lib\//, '/usr/lib/')}`,
  );
  return (await Promise.all(shown)).sort();
}

const UNITS = 'usr/lib/systemd/system';
const SYSTEMD = {
  'sbin/init': '->/usr/lib/systemd/systemd',
  'usr/lib/systemd/systemd': '',
  lib: '->usr/lib',
  [`${UNITS}/nginx.service`]: '[Unit]\n[Install]\nWantedBy=multi-user.target\n',
  [`${UNITS}/ssh.service`]: '[Install]\nWantedBy=multi-user.target\nAlias=sshd.service\n',
  [`${UNITS}/networkd.service`]:
    '[Install]\nWantedBy=multi-user.target\n# Also=comment.service\nAlso=networkd.socket\nAlias=dbus-org.network1.service\nAlso=wait.service missing.service\n',
  [`${UNITS}/networkd.socket`]: '[Install]\nWantedBy=sockets.target\nAlso=networkd.service\n',
  [`${UNITS}/wait.service`]: '[Install]\nWantedBy=network-online.target\n',
  [`${UNITS}/getty@.service`]:
    '[Service]\nWantedBy=no.target\n[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n',
  [`${UNITS}/odd@.service`]:
    '[Install]\nRequiredBy=q.target w@%i.target\nWantedBy=taken-back.target\nWantedBy=\nWantedBy=a.target \\\n  b.target\n',
  [`${UNITS}/fstrim.timer`]: '[Install]\nWantedBy=timers.target\n',
  [`${UNITS}/static.service`]: '[Unit]\n',
  [`${UNITS}/logind.service`]: '[Unit]\n',
  [`${UNITS}/multi-user.target.wants/logind.service`]: '->../logind.service',
  [`${UNITS}/dbus-org.login1.service`]: '->logind.service',
  [`${UNITS}/masked.service`]: '->/dev/null',
  'etc/systemd/system/own.service': '[Install]\nWantedBy=multi-user.target\nAlias=mine.service\n',
  'etc/systemd/system/multi-user.target.wants/nginx.service': '->/lib/systemd/system/nginx.service',
};

const hasSystemctl = spawnSync('systemctl', ['--version']).status === 0;

for (const unit of [
  'ssh',
  'networkd',
  'networkd.socket',
  'getty@tty7',
  'getty@',
  'odd@1',
  'fstrim.timer',
  'own',
]) {
  test(
    `systemd: ${unit} is started and stopped by the links that systemctl makes and removes`,
    {
      skip: hasSystemctl ? false : 'there is no systemctl to compare with',
    },
    async (t) => {
      const ours = await folderOf(t, SYSTEMD);
      const theirs = `${ours}-systemctl`;
      await cp(ours, theirs, { recursive: true, verbatimSymlinks: true });
      t.after(() => rm(theirs, { recursive: true, force: true }));
      const systemd = new Systemd(new DirectoryFiles(ours));
      const before = await enabledLinks(ours);

      await run('systemctl', [`--root=${theirs}`, 'enable', unit]);
      await apply(ours, await systemd.start(unit));
      assert.notDeepEqual(await enabledLinks(ours), before);
      assert.deepEqual(await enabledLinks(ours), await enabledLinks(theirs));
      assert.deepEqual(await systemd.start(unit), [], 'what is started already needs no edit');

      await run('systemctl', [`--root=${theirs}`, 'disable', unit]);
      await apply(ours, await systemd.stop(unit));
      assert.deepEqual(await enabledLinks(ours), await enabledLinks(theirs));
      assert.deepEqual(await systemd.stop(unit), [], 'what is stopped already needs no edit');
    },
  );
}

test('systemd: a link that the image has counts, however its target is written', async (t) => {
  const systemd = new Systemd(new DirectoryFiles(await folderOf(t, SYSTEMD)));
  assert.deepEqual(await systemd.start('nginx.service'), []);
  assert.deepEqual(await systemd.stop('nginx'), [
    { type: 'whiteout', path: 'etc/systemd/system/multi-user.target.wants/nginx.service' },
  ]);
});

test('systemd: what packages want statically is masked to stop it, and unmasked to start it', async (t) => {
  const root = await folderOf(t, SYSTEMD);
  const systemd = new Systemd(new DirectoryFiles(root));
  assert.deepEqual(await systemd.start('logind'), []);
  const mask: OverlayEdit = {
    type: 'symlink',
    path: 'etc/systemd/system/logind.service',
    target: '/dev/null',
  };
  assert.deepEqual(await systemd.stop('logind'), [mask]);
  assert.deepEqual(await systemd.stop('dbus-org.login1'), [mask], 'an alias stands for its unit');
  await apply(root, [mask]);
  assert.deepEqual(await systemd.start('logind'), [{ type: 'whiteout', path: mask.path }]);
});

test('systemd: a unit without [Install] is wanted by multi-user.target, as systemctl add-wants does', async (t) => {
  const systemd = new Systemd(new DirectoryFiles(await folderOf(t, SYSTEMD)));
  assert.deepEqual(await systemd.start('static'), [
    {
      type: 'symlink',
      path: 'etc/systemd/system/multi-user.target.wants/static.service',
      target: '/usr/lib/systemd/system/static.service',
    },
  ]);
});

test('a service that the image does not have is an error with the nearest ones and how many there are', async (t) => {
  const systemd = new Systemd(new DirectoryFiles(await folderOf(t, SYSTEMD)));
  const unknown = {
    code: 'UNKNOWN_SERVICE',
    message: 'the image has no service ngnix',
    hint: 'its systemd knows 12 services, the nearest: nginx',
  };
  await assert.rejects(systemd.start('ngnix'), unknown);
  await assert.rejects(systemd.stop('ngnix'), unknown);
  await assert.rejects(systemd.start('../nginx'), { code: 'UNKNOWN_SERVICE' });
  await assert.rejects(systemd.start('masked'), { code: 'SERVICE_MASKED' });
});

const OPENRC = {
  'sbin/init': 'sysvinit',
  'etc/init.d/sshd': '#!/sbin/openrc-run\n',
  'etc/init.d/nginx': '#!/sbin/openrc-run\n',
  'etc/init.d/hostname': '#!/sbin/openrc-run\n',
  'etc/init.d/functions.sh': '',
  'etc/runlevels/default/sshd': '->/etc/init.d/sshd',
  'etc/runlevels/nonetwork/sshd': '->/etc/init.d/sshd',
  'etc/runlevels/boot/hostname': '->/etc/init.d/hostname',
};

test('OpenRC: starting links into the default runlevel, unless a boot starts the service already', async (t) => {
  const openrc = new OpenRc(new DirectoryFiles(await folderOf(t, OPENRC)));
  assert.deepEqual(await openrc.list(), ['hostname', 'nginx', 'sshd']);
  assert.deepEqual(await openrc.start('nginx'), [
    { type: 'symlink', path: 'etc/runlevels/default/nginx', target: '/etc/init.d/nginx' },
  ]);
  assert.deepEqual(await openrc.start('sshd'), []);
  assert.deepEqual(await openrc.start('hostname'), []);
});

test('OpenRC: stopping takes a service out of every runlevel', async (t) => {
  const openrc = new OpenRc(new DirectoryFiles(await folderOf(t, OPENRC)));
  assert.deepEqual(await openrc.stop('nginx'), []);
  assert.deepEqual(await openrc.stop('sshd'), [
    { type: 'whiteout', path: 'etc/runlevels/default/sshd' },
    { type: 'whiteout', path: 'etc/runlevels/nonetwork/sshd' },
  ]);
  await assert.rejects(openrc.stop('functions.sh'), { code: 'UNKNOWN_SERVICE' });
});

test('the service manager is the one that the image boots with', async (t) => {
  const detect = async (files: Record<string, string>): Promise<string> =>
    (await detectServiceManager(new DirectoryFiles(await folderOf(t, files)))).name;
  assert.equal(await detect(SYSTEMD), 'systemd');
  assert.equal(await detect(OPENRC), 'openrc');
  assert.equal(await detect({ ...OPENRC, 'usr/lib/systemd/systemd': '' }), 'openrc');
  assert.equal(await detect({ 'lib/systemd/systemd': '' }), 'systemd');
  await assert.rejects(detect({ 'sbin/init': 'busybox' }), { code: 'NO_SERVICE_MANAGER' });
});
