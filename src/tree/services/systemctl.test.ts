/** systemd.ts put beside systemd itself, with all units that Debian has brought to this machine. */
import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { test, type TestContext } from 'node:test';
import { errorCode } from '../../errors.ts';
import { folderOf } from '../../fleet/folder.fixture.ts';
import { DirectoryFiles } from '../../image/files.ts';
import { run } from '../../system/run.ts';
import { apply, enabledLinks } from './services.fixture.ts';
import { Systemd } from './systemd.ts';

const UNITS = '/usr/lib/systemd/system';
const PRESETS = '/usr/lib/systemd/system-preset';
const SYSTEMD = '/usr/lib/systemd/systemd';
const skip =
  spawnSync('systemctl', ['--version']).status === 0 && spawnSync('test', ['-d', UNITS]).status === 0
    ? false
    : 'there is no systemd here to compare with';

/** This machine's units in a folder of their own, none of them enabled. */
async function unitTree(t: TestContext): Promise<string> {
  const root = await folderOf(t, { lib: '->usr/lib', 'usr/lib/systemd/': '', 'etc/systemd/system/': '' });
  await run('cp', ['-a', UNITS, PRESETS, join(root, 'usr/lib/systemd/')]);
  return root;
}

async function servicesOf(root: string): Promise<string[]> {
  const entries = await readdir(join(root, UNITS), { withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory() && /\.(service|socket|timer|path)$/.test(entry.name))
    .map(({ name }) => name)
    .sort();
}

async function forget(root: string): Promise<void> {
  await rm(join(root, 'etc/systemd/system'), { recursive: true });
  await mkdir(join(root, 'etc/systemd/system'));
}

/** What systemctl says, whether it likes it or not. */
function systemctl(root: string, ...args: string[]): { status: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync('systemctl', [`--root=${root}`, ...args], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
  });
  return { status, said: `${stdout}${stderr}`.trim() };
}

test(
  'each unit of Debian is started and stopped by the links that systemctl makes and removes',
  { skip },
  async (t) => {
    const [ours, theirs] = [await unitTree(t), await unitTree(t)];
    const systemd = new Systemd(new DirectoryFiles(ours));
    const seen = { enabled: 0, added: 0, refused: 0, masked: 0 };
    for (const unit of await servicesOf(ours)) {
      const enabled = systemctl(theirs, 'enable', unit);
      const refused = await systemd.start(unit).then(
        async (edits) => void (await apply(ours, edits)),
        (error: unknown) => errorCode(error),
      );
      if (refused === 'SERVICE_MASKED' || refused === 'SERVICE_TEMPLATE') {
        const why = refused === 'SERVICE_MASKED' ? /is masked/ : /no installation config|non-template unit/;
        assert.match(enabled.said, why, unit);
        seen.refused++;
        continue;
      }
      assert.equal(refused, undefined, unit);
      assert.equal(enabled.status, 0, `${unit}: ${enabled.said}`);
      const links = await enabledLinks(ours);
      const isAdded = /no installation config/.test(enabled.said) && links.length > 0;
      // What nobody enables, but somebody asks for by name, multi-user.target is to want.
      if (isAdded) systemctl(theirs, 'add-wants', 'multi-user.target', unit);
      assert.deepEqual(links, await enabledLinks(theirs), unit);
      seen[isAdded ? 'added' : 'enabled']++;

      systemctl(theirs, 'disable', unit);
      await apply(ours, await systemd.stop(unit));
      const left = await enabledLinks(ours);
      const isMasked = left.some((link) => link.endsWith('-> /dev/null'));
      // For a unit that packages have others want, disable does nothing.
      if (isMasked) systemctl(theirs, 'mask', left.join().replace(/.*\/(.*) -> .*/, '$1'));
      assert.deepEqual(left, await enabledLinks(theirs), unit);
      if (isMasked) seen.masked++;
      await Promise.all([forget(ours), forget(theirs)]);
    }
    t.diagnostic(JSON.stringify(seen));
    for (const [what, count] of Object.entries(seen)) assert.ok(count > 0, `none was ${what}`);
  },
);

test(
  'what `systemctl preset-all` enables, start enables by the same links, and stop takes them all away',
  { skip },
  async (t) => {
    const [ours, theirs] = [await unitTree(t), await unitTree(t)];
    await run('systemctl', [`--root=${theirs}`, 'preset-all']);
    const list = ['list-unit-files', '--state=enabled', '--no-legend', '--plain'];
    const { stdout } = await run('systemctl', [`--root=${theirs}`, ...list]);
    const enabled = stdout.split('\n').flatMap((line) => line.split(/\s+/)[0] || []);
    assert.ok(enabled.length > 10, stdout);

    const systemd = new Systemd(new DirectoryFiles(ours));
    for (const unit of enabled) await apply(ours, await systemd.start(unit));
    assert.deepEqual(await enabledLinks(ours), await enabledLinks(theirs));
    assert.equal(systemctl(ours, 'is-enabled', ...enabled).status, 0);

    for (const unit of enabled) {
      systemctl(theirs, 'disable', unit);
      await apply(ours, await systemd.stop(unit));
    }
    const unmasked = (await enabledLinks(ours)).filter((link) => !link.endsWith('-> /dev/null'));
    assert.deepEqual(unmasked, await enabledLinks(theirs));
    const states = systemctl(ours, 'is-enabled', ...enabled).said.split('\n');
    assert.equal(states.length, enabled.length);
    assert.deepEqual(
      states.filter((state) => !/^(disabled|masked|indirect)$/.test(state)),
      [],
    );
  },
);

/** modprobe@drm is what systemd-logind wants for itself. */
function isService(unit: string): boolean {
  return /\.(service|timer)$/.test(unit) && unit !== 'modprobe@drm.service';
}

/** As root, systemd starts for real or not at all. */
const NOBODY = ['--reuid=65534', '--regid=65534', '--clear-groups'];

/** The units that systemd would start at boot, by its own account: `systemd --test` reads units and starts nothing. */
async function startedAtBoot(root: string): Promise<Set<string>> {
  const path = ['etc/systemd/system', 'usr/lib/systemd/system'].map((dir) => join(root, dir)).join(':');
  const args = ['--test', '--system', '--unit=multi-user.target', '--log-target=console'];
  await chmod(root, 0o755);
  const { stdout, stderr } = await run('setpriv', [...NOBODY, SYSTEMD, ...args], {
    env: { SYSTEMD_UNIT_PATH: path, SYSTEMD_LOG_LEVEL: 'info' },
  });
  const jobs = `${stdout}${stderr}`.split('-> By jobs:')[1] ?? '';
  return new Set([...jobs.matchAll(/Action: (\S+) -> start/g)].map(([, unit]) => unit ?? ''));
}

const skipBoot =
  skip ||
  (spawnSync('test', ['-x', SYSTEMD]).status === 0
    ? false
    : 'there is no systemd to ask what it would start');

test(
  'a boot starts what is to start and nothing else, by the account of systemd itself',
  { skip: skipBoot },
  async (t) => {
    const root = await unitTree(t);
    const systemd = new Systemd(new DirectoryFiles(root));
    const bare = await startedAtBoot(root);
    assert.ok(bare.has('multi-user.target') && bare.has('systemd-logind.service'), [...bare].join(' '));
    const changed = async (): Promise<{ more: string[]; less: string[] }> => {
      const now = await startedAtBoot(root);
      return {
        more: [...now.difference(bare)].filter(isService).sort(),
        less: [...bare.difference(now)].filter(isService).sort(),
      };
    };
    assert.deepEqual(await changed(), { more: [], less: [] });
    for (const service of ['e2scrub_reap', 'getty@tty7', 'fstrim.timer', 'systemd-hostnamed']) {
      assert.ok(!bare.has(service.includes('.') ? service : `${service}.service`), service);
      await apply(root, await systemd.start(service));
    }
    await apply(root, await systemd.stop('systemd-logind'));
    assert.deepEqual(await changed(), {
      more: ['e2scrub_reap.service', 'fstrim.timer', 'getty@tty7.service', 'systemd-hostnamed.service'],
      less: ['systemd-logind.service'],
    });
    for (const service of ['e2scrub_reap', 'getty@tty7', 'fstrim.timer', 'systemd-hostnamed']) {
      await apply(root, await systemd.stop(service));
    }
    await apply(root, await systemd.start('systemd-logind'));
    assert.deepEqual(await changed(), { more: [], less: [] });
  },
);
