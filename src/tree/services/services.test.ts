import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { folderOf } from '../../fleet/folder.fixture.ts';
import { DirectoryFiles } from '../../image/files.ts';
import { run } from '../../system/run.ts';
import { detectServiceManager } from './detect.ts';
import { OpenRc } from './openrc.ts';
import type { OverlayEdit } from './service-manager.ts';
import { apply, enabledLinks } from './services.fixture.ts';
import { Systemd } from './systemd.ts';

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
  [`${UNITS}/plain.service`]: '[Service]\nExecStart=/bin/true\n',
  'etc/systemd/system/plain.service.d/install.conf': '[Install]\nWantedBy=rescue.target\n',
  'usr/lib/systemd/system/plain.service.d/install.conf': '[Install]\nWantedBy=not-this.target\n',
  [`${UNITS}/each@.service`]: '[Install]\nWantedBy=multi-user.target\n',
  [`${UNITS}/each@.service.d/also.conf`]: '[Install]\nAlias=every@%i.service\n',
  [`${UNITS}/fstrim.timer`]: '[Install]\nWantedBy=timers.target\n',
  [`${UNITS}/static.service`]: '[Unit]\n',
  [`${UNITS}/logind.service`]: '[Unit]\n',
  [`${UNITS}/multi-user.target.wants/logind.service`]: '->../logind.service',
  [`${UNITS}/dbus-org.login1.service`]: '->logind.service',
  [`${UNITS}/masked.service`]: '->/dev/null',
  [`${UNITS}/empty.service`]: '',
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
  'plain',
  'each@one',
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
    hint: 'its systemd knows 14 services, the nearest: nginx',
  };
  await assert.rejects(systemd.start('ngnix'), unknown);
  await assert.rejects(systemd.stop('ngnix'), unknown);
  const far = { hint: 'its systemd knows 14 services, the nearest: networkd, networkd.socket' };
  await assert.rejects(systemd.start('work'), far);
  await assert.rejects(systemd.start('../nginx'), { code: 'UNKNOWN_SERVICE' });
  for (const masked of ['masked', 'empty'])
    await assert.rejects(systemd.start(masked), { code: 'SERVICE_MASKED' });
});

test('systemd: a template that has no default instance is an error that asks for an instance', async (t) => {
  const systemd = new Systemd(new DirectoryFiles(await folderOf(t, SYSTEMD)));
  await assert.rejects(systemd.start('each@'), {
    code: 'SERVICE_TEMPLATE',
    hint: 'name one of its instances, such as each@NAME',
  });
});

const lsb = (...levels: string[]): string =>
  `#!/bin/sh\n### BEGIN INIT INFO\n# Provides: it\n# Default-Start: ${levels.join(' ')}\n### END INIT INFO\n`;

const GENERATOR = '/usr/lib/systemd/system-generators/systemd-sysv-generator';
const hasGenerator = spawnSync('test', ['-x', GENERATOR]).status === 0;

test(
  'systemd: an init script without a unit starts when the links say so by which systemd makes a unit of it',
  { skip: hasGenerator ? false : 'there is no systemd-sysv-generator to ask' },
  async (t) => {
    const root = await folderOf(t, {
      ...SYSTEMD,
      'etc/init.d/old': lsb('2', '3', '4', '5'),
      'etc/init.d/older.sh': '#!/bin/sh\n',
      'etc/init.d/nginx': lsb('2', '3', '4', '5'),
      'etc/init.d/README': 'not a script',
      'etc/rc3.d/S17old': '->../init.d/old',
    });
    const systemd = new Systemd(new DirectoryFiles(root));
    /** Units that multi-user.target gets out of init scripts. */
    const generated = async (): Promise<string[]> => {
      const out = await folderOf(t, {});
      const env = {
        SYSTEMD_SYSVINIT_PATH: join(root, 'etc/init.d'),
        SYSTEMD_SYSVRCND_PATH: join(root, 'etc'),
      };
      await run(GENERATOR, [out, out, out], { env });
      return await new DirectoryFiles(out).list('multi-user.target.wants');
    };
    const listed = await systemd.list();
    assert.ok(listed.includes('old') && listed.includes('older') && !listed.includes('README'));
    assert.deepEqual(listed, [...new Set(listed)].sort());
    assert.deepEqual(await generated(), ['old.service']);
    assert.deepEqual(await systemd.start('old'), [], 'it starts already');

    await apply(root, await systemd.stop('old.service'));
    assert.deepEqual(await generated(), []);
    assert.deepEqual(await systemd.stop('old'), []);

    for (const service of ['old', 'older']) await apply(root, await systemd.start(service));
    assert.deepEqual(await generated(), ['old.service', 'older.service']);
    const unit = await systemd.stop('nginx');
    assert.deepEqual(
      unit.map(({ path }) => path),
      ['etc/systemd/system/multi-user.target.wants/nginx.service'],
      'a unit of the same name is what counts',
    );
  },
);

const OPENRC = {
  'sbin/init': 'sysvinit',
  'etc/init.d/sshd': '#!/sbin/openrc-run\n',
  'etc/init.d/nginx': '#!/sbin/openrc-run\n',
  'etc/init.d/hostname': '#!/sbin/openrc-run\n',
  // Gentoo's are executable or not, from version to version.
  'etc/init.d/functions.sh': '#!/bin/sh\n',
  'etc/init.d/README': 'not a script',
  'etc/init.d/mountall.sh': lsb('S'),
  'etc/init.d/mixed': lsb('S', '2'),
  'etc/init.d/halt': lsb(),
  'usr/local/etc/init.d/own': '#!/sbin/openrc-run\n',
  'etc/init.d/own': '#!/sbin/openrc-run\n',
  'etc/init.d/net.lo': '#!/sbin/openrc-run\n',
  'etc/init.d/net.eth0': '->net.lo',
  'etc/init.d/stacked': '#!/sbin/openrc-run\n',
  'etc/runlevels/default/mystack': '->../mystack',
  'etc/runlevels/mystack/stacked': '->/etc/init.d/stacked',
  'etc/runlevels/off/halt': '->/etc/init.d/halt',
  'etc/runlevels/default/sshd': '->/etc/init.d/sshd',
  'etc/runlevels/nonetwork/sshd': '->/etc/init.d/sshd',
  'etc/runlevels/boot/hostname': '->/etc/init.d/hostname',
};

test('OpenRC: starting links into the default runlevel, unless a boot starts the service already', async (t) => {
  const openrc = new OpenRc(new DirectoryFiles(await folderOf(t, OPENRC)));
  assert.deepEqual(await openrc.list(), [
    'halt',
    'hostname',
    'mixed',
    'mountall.sh',
    'net.eth0',
    'net.lo',
    'nginx',
    'own',
    'sshd',
    'stacked',
  ]);
  assert.deepEqual(await openrc.start('nginx'), [
    { type: 'symlink', path: 'etc/runlevels/default/nginx', target: '/etc/init.d/nginx' },
  ]);
  assert.deepEqual(await openrc.start('sshd'), []);
  assert.deepEqual(await openrc.start('hostname'), []);
  assert.deepEqual(await openrc.start('stacked'), [], 'mystack is stacked on default');
  const paths = async (service: string): Promise<string[]> =>
    (await openrc.start(service)).map((edit) =>
      edit.type === 'symlink' ? `${edit.path} -> ${edit.target}` : edit.type,
    );
  assert.deepEqual(await paths('net.eth0'), ['etc/runlevels/default/net.eth0 -> /etc/init.d/net.eth0']);
  assert.deepEqual(await paths('own'), ['etc/runlevels/default/own -> /usr/local/etc/init.d/own']);
  assert.deepEqual(await paths('halt'), ['etc/runlevels/default/halt -> /etc/init.d/halt'], 'off is no boot');
});

test('OpenRC: a script with an LSB header starts in the runlevels that update-rc.d gives it', async (t) => {
  const openrc = new OpenRc(new DirectoryFiles(await folderOf(t, OPENRC)));
  const runlevels = async (service: string): Promise<string[]> =>
    (await openrc.start(service)).map(({ path }) => path.split('/')[2] ?? '');
  assert.deepEqual(await runlevels('mountall.sh'), ['sysinit']);
  assert.deepEqual(await runlevels('mixed'), ['sysinit', 'default']);
});

test('OpenRC: stopping takes a service out of every runlevel', async (t) => {
  const openrc = new OpenRc(new DirectoryFiles(await folderOf(t, OPENRC)));
  assert.deepEqual(await openrc.stop('nginx'), []);
  assert.deepEqual(await openrc.stop('sshd'), [
    { type: 'whiteout', path: 'etc/runlevels/default/sshd' },
    { type: 'whiteout', path: 'etc/runlevels/nonetwork/sshd' },
  ]);
  assert.deepEqual(await openrc.stop('stacked'), [
    { type: 'whiteout', path: 'etc/runlevels/mystack/stacked' },
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

test('systemd: what starts a service that is stopped, at boot or when something happens', async (t) => {
  const root = await folderOf(t, {
    ...SYSTEMD,
    [`${UNITS}/default.target`]: '->multi-user.target',
    [`${UNITS}/multi-user.target`]: '[Unit]\nRequires=basic.target\n',
    [`${UNITS}/basic.target`]: '[Unit]\nWants=sockets.target timers.target\n',
    [`${UNITS}/sockets.target`]: '',
    [`${UNITS}/timers.target`]: '[Unit]\n',
    [`${UNITS}/timers.target.wants/backup.timer`]: '->../backup.timer',
    [`${UNITS}/backup.timer`]: '[Timer]\nOnCalendar=daily\n',
    [`${UNITS}/backup.service`]: '[Unit]\nBindsTo=store@%N.service\n[Install]\nWantedBy=multi-user.target\n',
    [`${UNITS}/store@.service`]: '[Unit]\n[Install]\nWantedBy=multi-user.target\n',
    [`${UNITS}/app.service`]: '[Unit]\nRequires=db.service\n[Install]\nWantedBy=multi-user.target\n',
    [`${UNITS}/web.service`]: '[Unit]\nUpholds= \\\n  db.service\n[Install]\nWantedBy=multi-user.target\n',
    [`${UNITS}/idle.service`]: '[Unit]\nWants=db.service ssh.service\nAfter=nginx.service\n',
    [`${UNITS}/db.service`]: '[Unit]\n[Install]\nWantedBy=multi-user.target\nAlias=database.service\n',
    'etc/systemd/system/database.service': '->/usr/lib/systemd/system/db.service',
    'etc/systemd/system/multi-user.target.wants/app.service': '->/usr/lib/systemd/system/app.service',
    'etc/systemd/system/multi-user.target.wants/web.service': '->/usr/lib/systemd/system/web.service',
  });
  const systemd = new Systemd(new DirectoryFiles(root));
  const found = async (service: string): Promise<string[]> => await systemd.startedBy(service);
  assert.deepEqual(await found('db'), ['app.service', 'web.service'], 'not by what does not start itself');
  assert.deepEqual(await found('database'), ['app.service', 'web.service']);
  assert.deepEqual(await found('backup'), ['backup.timer']);
  assert.deepEqual(await found('store@backup'), ['backup.service']);
  assert.deepEqual(await found('app'), ['multi-user.target']);
  assert.deepEqual(await found('ssh'), []);
  assert.deepEqual(await found('none'), []);

  await apply(root, await systemd.stop('app'));
  assert.deepEqual(await found('app'), []);
  assert.deepEqual(await found('db'), ['web.service']);
  await apply(root, [{ type: 'symlink', path: 'etc/systemd/system/db.service', target: '/dev/null' }]);
  assert.deepEqual(await found('db'), [], 'a mask keeps it from being started by anything');
});

/** An init script with these lines in its depend(). */
function scriptThat(depend: string): string {
  return `#!/sbin/openrc-run\n\ndepend() {\n${depend}}\n\nstart() {\n\tneed nothing\n}\n`;
}

test('OpenRC: what needs or wants a service that is stopped, and starts itself', async (t) => {
  const root = await folderOf(t, {
    'etc/init.d/app': scriptThat('\tneed net db\n\tuse logger\n'),
    'etc/init.d/web': scriptThat('\tafter db\n\twant app\n'),
    'etc/init.d/idle': scriptThat('\tneed db\n'),
    'etc/init.d/db': scriptThat(''),
    'etc/init.d/logger': scriptThat(''),
    'etc/runlevels/default/web': '->/etc/init.d/web',
  });
  const openrc = new OpenRc(new DirectoryFiles(root));
  assert.deepEqual(await openrc.startedBy('db'), ['app']);
  assert.deepEqual(await openrc.startedBy('app'), ['web']);
  assert.deepEqual(await openrc.startedBy('logger'), []);
  assert.deepEqual(await openrc.startedBy('none'), []);
});
